package troupe.router;

import java.util.Arrays;
import troupe.core.random.Philox;

/**
 * How the next token is chosen from logits.
 *
 * @param temperature divides the logits; 0 takes the likeliest token
 * @param topK draws among this many likeliest tokens; 0 among all
 * @param seed of the draws, one a position
 */
public record Sampling(double temperature, int topK, long seed) {
  /** Tells these draws from those of gates and data under the same seed. */
  private static final int DOMAIN = 0x47454E00;

  /** The token after position {@code position}. */
  public int next(double[] logits_V, int position) {
    int best = 0;
    for (int v = 1; v < logits_V.length; v++) {
      best = logits_V[v] > logits_V[best] ? v : best;
    }
    if (temperature == 0) {
      return best;
    }
    double threshold = threshold(logits_V);
    double[] weight_V = new double[logits_V.length];
    double sum = 0;
    for (int v = 0; v < logits_V.length; v++) {
      if (logits_V[v] >= threshold) {
        weight_V[v] = StrictMath.exp((logits_V[v] - logits_V[best]) / temperature);
        sum += weight_V[v];
      }
    }
    int[] words = new int[4];
    Philox.block(seed, position, 0, DOMAIN, 0, words, 0);
    double left = Philox.uniform53(words[0], words[1]) * sum;
    int last = best;
    for (int v = 0; v < logits_V.length; v++) {
      if (weight_V[v] > 0) {
        last = v;
        left -= weight_V[v];
        if (left < 0) {
          break;
        }
      }
    }
    return last;
  }

  private double threshold(double[] logits_V) {
    if (topK <= 0 || topK >= logits_V.length) {
      return Double.NEGATIVE_INFINITY;
    }
    double[] sorted = logits_V.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length - topK];
  }
}

package troupe.coordinator.lab;

import troupe.router.gate.Kept;
import troupe.router.gate.Load;
import troupe.router.gate.Routing;

/**
 * Draws a gate's estimate many times, on several problems, and compares its mean with the truth.
 */
final class Meter {
  private static final double ROUNDING = 1e-12;

  private double wholeSquare;
  private double ownSquare;
  private double meanSquare;
  private double wholeDifference;
  private double ownDifference;
  private double meanTimesWhole;
  private double meanTimesOwn;
  private double variance;
  private double noise;
  private double drawCosine;
  private double draws;
  private double alive;
  private double evaluations;
  private double tokens;

  /** Adds one problem; draws are those of {@code seed}. */
  void add(Problem problem, Contender contender, int samples, long seed) {
    int experts = problem.experts();
    double[] p_TE = softmax(problem.logits_TE(), experts);
    double[] whole = problem.parameters(Objective.gradient(problem, p_TE, contender.gated()));
    double[] ownP_TE = ownProbabilities(problem, contender);
    double[] own = problem.parameters(Objective.gradient(problem, ownP_TE, contender.gated()));
    double wholeNorm = Math.sqrt(square(whole));

    double[] sum = new double[whole.length];
    double squares = 0;
    for (int n = 0; n < samples; n++) {
      GatePass pass = contender.pass(problem, seed, n);
      double[] g = problem.parameters(pass.dLogits_TE());
      double gSquare = square(g);
      squares += gSquare;
      drawCosine += gSquare == 0 ? 0 : Objective.dot(g, whole) / Math.sqrt(gSquare) / wholeNorm;
      for (int i = 0; i < sum.length; i++) {
        sum[i] += g[i];
      }
      count(pass.routing());
    }
    draws += samples;

    double[] mean = sum.clone();
    for (int i = 0; i < mean.length; i++) {
      mean[i] /= samples;
    }
    double aroundMean = squares - samples * square(mean);
    // Of a gate without draws it is what rounding leaves.
    double problemVariance =
        aroundMean < ROUNDING * squares ? 0 : aroundMean / Math.max(1, samples - 1);
    double problemNoise = problemVariance / samples;
    variance += problemVariance;
    noise += problemNoise;
    wholeSquare += square(whole);
    ownSquare += square(own);
    // The mean is off by its noise, which makes squares larger than they are by that much.
    meanSquare += square(mean) - problemNoise;
    wholeDifference += distance(mean, whole) - problemNoise;
    ownDifference += distance(mean, own) - problemNoise;
    meanTimesWhole += Objective.dot(mean, whole);
    meanTimesOwn += Objective.dot(mean, own);
  }

  /** What the gate draws from: the softmax over the experts that its mask keeps. */
  private static double[] ownProbabilities(Problem problem, Contender contender) {
    Kept kept_TE = contender.gate().route(contender.input(problem, null, false)).kept_TE();
    double[] logits_TE = problem.logits_TE().clone();
    int experts = problem.experts();
    for (int i = 0; kept_TE != null && i < logits_TE.length; i++) {
      boolean kept = kept_TE.has(i / experts, i % experts);
      logits_TE[i] = kept ? logits_TE[i] : Double.NEGATIVE_INFINITY;
    }
    return softmax(logits_TE, experts);
  }

  private void count(Routing routing) {
    tokens += routing.tokens();
    alive += Load.alive(routing);
    for (int slot = 0; slot < routing.slots(); slot++) {
      evaluations += routing.isPlaced(slot) ? 1 : 0;
    }
  }

  Measurement measurement(String gate, String problem, int experts, double jitter) {
    return new Measurement(
        gate,
        problem,
        experts,
        jitter,
        ratio(ownDifference, ownSquare),
        cosine(meanTimesOwn, ownSquare),
        ratio(wholeDifference, wholeSquare),
        cosine(meanTimesWhole, wholeSquare),
        ownSquare == 0 ? Double.NaN : meanTimesOwn / ownSquare,
        variance / wholeSquare,
        drawCosine / draws,
        Math.sqrt(noise / wholeSquare),
        alive / tokens,
        evaluations / tokens);
  }

  /** NaN where there is nothing to be compared with. */
  private static double ratio(double difference, double square) {
    return square == 0 ? Double.NaN : Math.sqrt(Math.max(0, difference) / square);
  }

  /** Zero for an estimate that is zero; noise may push it past one, where it is cut. */
  private double cosine(double product, double square) {
    if (square == 0) {
      return Double.NaN;
    }
    return meanSquare <= 0 ? 0 : Math.clamp(product / Math.sqrt(meanSquare * square), -1.0, 1.0);
  }

  static double[] softmax(double[] logits_TE, int experts) {
    double[] p_TE = new double[logits_TE.length];
    for (int from = 0; from < p_TE.length; from += experts) {
      double max = Double.NEGATIVE_INFINITY;
      for (int e = 0; e < experts; e++) {
        max = Math.max(max, logits_TE[from + e]);
      }
      double sum = 0;
      for (int e = 0; e < experts; e++) {
        p_TE[from + e] = Math.exp(logits_TE[from + e] - max);
        sum += p_TE[from + e];
      }
      for (int e = 0; e < experts; e++) {
        p_TE[from + e] /= sum;
      }
    }
    return p_TE;
  }

  private static double square(double[] a) {
    return Objective.dot(a, a);
  }

  private static double distance(double[] a, double[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += (a[i] - b[i]) * (a[i] - b[i]);
    }
    return sum;
  }
}

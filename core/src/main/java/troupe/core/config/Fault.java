package troupe.core.config;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A fault to inject once: the expert throws in the given phase of the given step.
 *
 * @param step counted from 1, as in metrics.jsonl
 * @param layer counted from 0 over all layers, mixtures or not
 * @param expert counted from 0 within its layer
 */
public record Fault(int step, int layer, int expert, Phase phase) {
  private static final Pattern FORM =
      Pattern.compile("(\\d{1,9}):(\\d{1,9})/(\\d{1,9}):(forward|backward|apply)");

  /** When the expert throws. */
  public enum Phase {
    FORWARD,
    BACKWARD,
    APPLY
  }

  /**
   * Reads {@code STEP:LAYER/EXPERT:PHASE}, the phase being forward, backward or apply.
   *
   * @throws IllegalArgumentException if {@code text} has another form
   */
  public static Fault parse(String text) {
    Matcher matcher = FORM.matcher(text);
    if (!matcher.matches()) {
      throw new IllegalArgumentException(
          Expect.violation(
              "faults.expert_throws",
              text,
              "STEP:LAYER/EXPERT:PHASE with PHASE forward, backward or apply"));
    }
    return new Fault(
        Integer.parseInt(matcher.group(1)),
        Integer.parseInt(matcher.group(2)),
        Integer.parseInt(matcher.group(3)),
        Phase.valueOf(matcher.group(4).toUpperCase(Locale.ROOT)));
  }
}

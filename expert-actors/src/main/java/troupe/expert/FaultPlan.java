package troupe.expert;

import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Exceptions to throw on purpose, each once in a run: {@code STEP:LAYER/EXPERT:PHASE} with a phase of {@code forward},
 * {@code backward} or {@code apply}. For showing, and testing, that a run survives them with the same bits.
 */
public final class FaultPlan {
  /** Where an expert may be made to throw. */
  public enum Point {
    FORWARD,
    BACKWARD,
    APPLY
  }

  /** What an expert throws when the plan says so. */
  public static final class InjectedFault extends RuntimeException {
    private static final long serialVersionUID = 1;

    InjectedFault(String fault) {
      super("injected fault " + fault);
    }
  }

  private record Fault(long step, int layer, int expert, Point point) {
    @Override
    public String toString() {
      return step + ":" + layer + "/" + expert + ":" + point.name().toLowerCase(Locale.ROOT);
    }
  }

  private static final Pattern FORM =
      Pattern.compile("(\\d+):(\\d+)/(\\d+):(forward|backward|apply)");

  private final Set<Fault> pending = new HashSet<>();

  /**
   * A plan.
   *
   * @throws IllegalArgumentException for a fault that is not of the documented form
   */
  public FaultPlan(List<String> faults) {
    for (String fault : faults) {
      Matcher matcher = FORM.matcher(fault);
      if (!matcher.matches()) {
        throw new IllegalArgumentException(
            "faults.expert_throws: \"" + fault + "\" (expected: STEP:LAYER/EXPERT:forward|backward|apply)");
      }
      pending.add(
          new Fault(
              Long.parseLong(matcher.group(1)),
              Integer.parseInt(matcher.group(2)),
              Integer.parseInt(matcher.group(3)),
              Point.valueOf(matcher.group(4).toUpperCase(Locale.ROOT))));
    }
  }

  /** Throws {@link InjectedFault} if the plan has a fault here that was not thrown before. */
  void strike(long step, int layer, int expert, Point point) {
    if (isEmpty()) {
      return;
    }
    Fault fault = new Fault(step, layer, expert, point);
    boolean planned;
    synchronized (this) {
      planned = pending.remove(fault);
    }
    if (planned) {
      throw new InjectedFault(fault.toString());
    }
  }

  private synchronized boolean isEmpty() {
    return pending.isEmpty();
  }
}

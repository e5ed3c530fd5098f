package troupe.expert;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import troupe.core.config.Fault;

/**
 * Exceptions to throw on purpose, each once in a run: for showing, and testing, that a run survives
 * them with the same bits. Shared by all experts of a process.
 */
public final class FaultPlan {
  /** What an expert throws when the plan says so. */
  public static final class InjectedFault extends RuntimeException {
    private static final long serialVersionUID = 1;

    InjectedFault(Fault fault) {
      super("injected by faults.expert_throws: " + fault);
    }
  }

  private final Set<Fault> pending;
  private volatile boolean empty;

  /** A plan of these faults. */
  public FaultPlan(List<Fault> faults) {
    this.pending = new HashSet<>(faults);
    this.empty = pending.isEmpty();
  }

  /** Throws {@link InjectedFault} if the plan has a fault here that was not thrown before. */
  void strike(long step, int layer, int expert, Fault.Phase phase) {
    if (empty) {
      return;
    }
    Fault fault = new Fault(Math.toIntExact(step), layer, expert, phase);
    boolean planned;
    synchronized (pending) {
      planned = pending.remove(fault);
      empty = pending.isEmpty();
    }
    if (planned) {
      throw new InjectedFault(fault);
    }
  }
}

package troupe.coordinator;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import troupe.core.config.RunConfig;

/**
 * What a run is asked to do, in order, with the validations that are due in between. Training that
 * is done comes back if its last steps turn out to be lost.
 */
final class Agenda {
  private final RunConfig config;
  private final Deque<RunTask> tasks;
  private RunTask.Train trained;
  private boolean validationDue;

  Agenda(RunConfig config, List<RunTask> tasks) {
    this.config = config;
    this.tasks = new ArrayDeque<>(tasks);
  }

  /** What comes next, or is at hand; {@code null} if all is done. */
  RunTask next() {
    return validationDue ? new RunTask.Evaluate(config.evaluate().batches()) : tasks.peek();
  }

  /** A step of training is committed. */
  void committed(long step) {
    int every = config.evaluate().every();
    validationDue = every > 0 && (step % every == 0 || step == config.train().steps());
  }

  /** The training at hand has come to its last step. */
  void trained() {
    trained = (RunTask.Train) tasks.remove();
  }

  /** The validation at hand is done. */
  void evaluated() {
    if (validationDue) {
      validationDue = false;
    } else {
      tasks.remove();
    }
  }

  /** The text at hand is generated. */
  void generated() {
    tasks.remove();
  }

  /** Steps after this one are done again. */
  void rolledBack(long step) {
    validationDue = false;
    if (trained != null && step < trained.lastStep()) {
      tasks.addFirst(trained);
      trained = null;
    }
  }
}

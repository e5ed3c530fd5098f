package troupe.coordinator;

import troupe.router.RouterActor;

/**
 * The validation or text that routers work at, one at a time: passes of the model that train
 * nothing. Each is numbered anew, also when it is asked for again, and no step has such a number.
 */
final class Inference {
  private static final long FIRST_ID = 1L << 40;

  /** Most passes of one validation or text. */
  private static final long PASSES = 1L << 24;

  private final int ranks;
  private long id = FIRST_ID;
  private Group group;
  private EvaluationTally tally;

  Inference(int ranks) {
    this.ranks = ranks;
  }

  /** Asks all ranks for their shares of a validation. */
  void evaluate(Group newGroup, int batches) {
    begin(newGroup);
    group.tellRouters(new RouterActor.Evaluate(group.epoch(), id, batches));
  }

  /** Asks rank 0 for a text. */
  void generate(Group newGroup, RunTask.Generate task) {
    begin(newGroup);
    group.tellRouter(
        0,
        new RouterActor.Generate(
            group.epoch(), id, task.prompt(), task.count(), task.stop(), task.sampling()));
  }

  private void begin(Group newGroup) {
    group = newGroup;
    id += PASSES;
    tally = new EvaluationTally(ranks);
  }

  /** Whether an answer is to what was asked last. */
  boolean isOf(int epoch, long ofId) {
    return epoch == group.epoch() && ofId == id;
  }

  /** The shares that have come. */
  EvaluationTally tally() {
    return tally;
  }

  /** An expert lost what it worked at: it gets its rows again. */
  void onRestarted(int layer, int expert) {
    group.tellRouters(new RouterActor.Resend(group.epoch(), layer, expert));
  }

  /** A rank whose share has not come and where it lives, for a message to the user. */
  String missing() {
    return group.whereIs(tally.missing());
  }
}

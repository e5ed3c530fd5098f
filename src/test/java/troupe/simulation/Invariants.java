package troupe.simulation;

import java.util.Arrays;
import java.util.SortedMap;
import troupe.coordinator.Outcome;
import troupe.coordinator.RunListener;
import troupe.coordinator.StepReport;
import troupe.coordinator.run.Model;
import troupe.core.config.RunConfig;
import troupe.expert.network.ExpertState;
import troupe.router.trunk.RankState;

/** What must be true of a run after every event, whatever has gone wrong. */
final class Invariants implements RunListener {
  private final Model model;
  private final RunConfig config;
  private final Undisturbed undisturbed;
  private final long[] committed;
  private long step;
  private Outcome outcome;

  Invariants(Model model, Undisturbed undisturbed) {
    this.model = model;
    this.config = model.config();
    this.undisturbed = undisturbed;
    this.committed = new long[model.ranks().size() + model.experts().size()];
  }

  /** How the run ended, or {@code null}. */
  Outcome outcome() {
    return outcome;
  }

  @Override
  public void committed(StepReport report) {
    require(report.step() == step + 1, "committed step %d after %d", report.step(), step);
    step = report.step();
    long tokens = (long) config.train().batch() * config.model().seq();
    for (SortedMap.Entry<Integer, long[]> load : report.load().entrySet()) {
      long rows = Arrays.stream(load.getValue()).sum();
      require(
          rows == tokens, "step %d layer %d routed %d rows of %d", step, load.getKey(), rows, tokens);
    }
    String expected = undisturbed.steps().get(Math.toIntExact(step) - 1);
    String found = Undisturbed.text(report);
    require(found.equals(expected), "%n%s%n(expected: %s)", found, expected);
    for (long owner : owners()) {
      require(owner == step, "step %d committed with an owner at step %d", step, owner);
    }
  }

  @Override
  public void notice(String line) {
    require(
        !line.contains("restarted") || line.contains("injected"), "nobody told it to: %s", line);
  }

  @Override
  public void finished(Outcome end) {
    require(outcome == null, "ended twice: %s, %s", outcome, end);
    outcome = end;
  }

  /** Checks what can be seen from outside. */
  void check() {
    long[] now = owners();
    for (int i = 0; i < now.length; i++) {
      require(
          now[i] == committed[i] || now[i] == committed[i] + 1,
          "owner %d went from step %d to %d",
          i,
          committed[i],
          now[i]);
      require(
          now[i] == step || now[i] == step + 1, "owner %d at step %d of %d", i, now[i], step);
      committed[i] = now[i];
    }
  }

  /** The committed step of everybody. */
  private long[] owners() {
    long[] steps = new long[committed.length];
    int i = 0;
    for (RankState rank : model.ranks()) {
      steps[i++] = rank.owned().committedStep();
    }
    for (ExpertState expert : model.experts()) {
      steps[i++] = expert.owned().committedStep();
    }
    return steps;
  }

  static void require(boolean holds, String message, Object... values) {
    if (!holds) {
      throw new AssertionError(message.formatted(values));
    }
  }
}

package troupe.coordinator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import troupe.coordinator.PlayedRun.Expelled;
import troupe.coordinator.PlayedRun.PlayedHost;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.events.RunEvent;
import troupe.coordinator.host.EpochPlan;
import troupe.coordinator.host.Host;
import troupe.coordinator.placement.NodeInfo;

/** How a run goes on without a node that fails or hangs, and when it must not. */
final class CoordinatorFailuresTest {
  private PlayedRun run;
  private PlayedHost first;
  private PlayedHost second;
  private PlayedHost third;

  @AfterEach
  void stop() {
    run.close();
  }

  private void play(PlayedRun played) {
    run = played;
    first = run.host(1);
    second = run.host(2);
    third = run.host(3);
  }

  /** Skips what else was said until an epoch is. */
  private static void drainTo(PlayedHost host, int epoch) {
    while (true) {
      if (host.expect(Host.Command.class) instanceof Host.Report report) {
        if (report.epoch() == epoch) {
          return;
        }
      }
    }
  }

  @Test
  void shouldTellANodeThatRunsOutOfMemoryWhoseMistakeItIs() throws Exception {
    play(new PlayedRun("train.steps=40"));
    run.start(first, second, third);
    run.enter(1, first.holds(0), second.holds(0), third.holds(0));
    run.commit(1, 1);
    run.expectStep(1, 2);
    run.tell(third.mistaken(1, "out of memory"));
    assertTrue(((Outcome.Failed) finish(third).outcome()).isMistake());
    drainTo(first, 2);
    drainTo(second, 2);
    first.holds(1).report(2);
    second.holds(1).report(2);
    run.prepare(2, first, second);
    // Those who are left have more to hold.
    run.tell(first.mistaken(2, "out of memory"));
    assertEquals(
        new Outcome.Failed(1, "out of memory", "resume=true", true), run.only(Outcome.class));
  }

  @Test
  void shouldGoOnWithoutANodeThatFails() throws Exception {
    play(new PlayedRun("train.steps=40"));
    run.start(first, second, third);
    run.enter(1, first.holds(0), second.holds(0), third.holds(0));
    run.commit(1, 1);
    run.expectStep(1, 2);
    run.tell(third.failed(1, "no room"));
    Host.Finish finish = finish(third);
    assertEquals(
        new Outcome.Failed(1, "no room", "resume=true; the run goes on on the other nodes"),
        finish.outcome());
    drainTo(first, 2);
    drainTo(second, 2);
    first.holds(1).report(2);
    second.holds(1).report(2);
    EpochPlan plan = run.prepare(2, first, second);
    assertEquals(List.of(1, 2), plan.nodes().stream().map(NodeInfo::node).sorted().toList());
    assertEquals(new RunEvent.NodeFailed("node-3", "no room"), run.only(RunEvent.NodeFailed.class));
    run.commit(2, 2);
    // It leaves the cluster at last, which nobody is disturbed by.
    run.present(first, second);
    run.expectStep(2, 3);
    run.pass(Duration.ofSeconds(1));
    assertEquals(List.of(), run.told(Expelled.class));
    assertEquals(List.of(), run.told(Outcome.class));
  }

  @Test
  void shouldHaveANodeRemovedThatFailedAndDoesNotLeave() throws Exception {
    play(new PlayedRun("train.steps=40", "cluster.reply_timeout_seconds=100"));
    run.start(first, second);
    run.enter(1, first.holds(0), second.holds(0));
    run.commit(1, 1);
    run.tell(second.failed(1, "no room"));
    drainTo(first, 2);
    first.holds(1).report(2);
    run.prepare(2, first);
    run.pass(Duration.ofSeconds(29));
    assertEquals(List.of(), run.told(Expelled.class));
    run.pass(Duration.ofSeconds(20));
    assertEquals(second.probe.ref(), run.only(Expelled.class).host());
  }

  @Test
  void shouldEndWhenASecondNodeFailsInTheSameStep() throws Exception {
    play(new PlayedRun("train.steps=40"));
    run.start(first, second, third);
    run.enter(1, first.holds(0), second.holds(0), third.holds(0));
    run.commit(1, 1);
    run.tell(third.failed(1, "expert-0-1 stopped"));
    drainTo(first, 2);
    drainTo(second, 2);
    first.holds(1).report(2);
    second.holds(1).report(2);
    run.prepare(2, first, second);
    run.tell(second.failed(2, "expert-0-1 stopped"));
    Outcome.Failed failed = run.only(Outcome.Failed.class);
    assertEquals("expert-0-1 stopped", failed.message());
  }

  /** Its host answers nothing, though its node is there: a kernel that never returns, say. */
  @Test
  void shouldGoOnWithoutANodeThatDoesNotReport() throws Exception {
    play(new PlayedRun("train.steps=40"));
    run.start(first, second, third);
    first.expectReport(1);
    first.report(1);
    second.expectReport(1);
    second.report(1);
    run.pass(Duration.ofSeconds(30));
    assertEquals(third.probe.ref(), run.only(Expelled.class).host());
    drainTo(first, 2);
    drainTo(second, 2);
    first.report(2);
    second.report(2);
    run.prepare(2, first, second);
    run.expectStep(2, 1);
    assertTrue(
        run.only(RunEvent.NodeFailed.class).cause().contains("30 s"),
        run.only(RunEvent.NodeFailed.class)::toString);
  }

  /** Its data port is closed: each waits for it, and it for each. */
  @Test
  void shouldGoOnWithoutANodeThatNobodyCanConnectTo() throws Exception {
    play(new PlayedRun("train.steps=40"));
    run.start(first, second, third);
    for (PlayedHost host : List.of(first, second, third)) {
      host.expectReport(1);
      host.report(1);
    }
    run.tell(new Host.Preparing(1, 1, "a connection to node-3", List.of(3)));
    run.tell(new Host.Preparing(1, 2, "a connection to node-3", List.of(3)));
    run.tell(new Host.Preparing(1, 3, "connections", List.of(1, 2)));
    run.pass(Duration.ofSeconds(31));
    assertEquals(third.probe.ref(), run.only(Expelled.class).host());
    assertEquals("node-3", run.only(RunEvent.NodeFailed.class).node());
    drainTo(first, 2);
    drainTo(second, 2);
  }

  @Test
  void shouldEndWhenNobodyCanTellWhoseFaultItIs() throws Exception {
    play(new PlayedRun("train.steps=40"));
    run.start(first, second, third);
    for (PlayedHost host : List.of(first, second, third)) {
      host.expectReport(1);
      host.report(1);
    }
    run.tell(new Host.Preparing(1, 1, "connections", List.of(2, 3)));
    run.tell(new Host.Preparing(1, 2, "connections", List.of(1, 3)));
    run.tell(new Host.Preparing(1, 3, "connections", List.of(1, 2)));
    run.pass(Duration.ofSeconds(31));
    assertTrue(run.only(Outcome.Failed.class).message().contains("PREPARING"));
    assertEquals(List.of(), run.told(Expelled.class));
  }

  @Test
  void shouldEndWhenTheLastCheckpointDoesNotMoveAnyMore() throws Exception {
    play(new PlayedRun("train.steps=1").withoutWriting());
    run.start(first);
    run.enter(1, first.holds(0));
    run.commit(1, 1);
    first.expect(Host.Checkpoint.class);
    for (int i = 0; i < 10; i++) {
      run.checkpointMoves();
      run.pass(Duration.ofSeconds(9));
    }
    assertEquals(List.of(), run.told(Outcome.class));
    run.pass(Duration.ofSeconds(31));
    Outcome.Failed failed = run.only(Outcome.Failed.class);
    assertTrue(failed.message().startsWith("step 1 is not on the disk: nothing"), failed.message());
    assertTrue(failed.message().endsWith("the newest is that of step 0"), failed.message());
  }

  private static Host.Finish finish(PlayedHost host) {
    while (true) {
      if (host.expect(Host.Command.class) instanceof Host.Finish finish) {
        return finish;
      }
    }
  }
}

package troupe.coordinator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import troupe.coordinator.PlayedRun.PlayedHost;
import troupe.coordinator.events.RunEvent;
import troupe.coordinator.host.Host;

/** Copies of the state are asked for in time, and steps wait for them if they must. */
final class CoordinatorReplicationTest {
  private PlayedRun run;
  private PlayedHost first;
  private PlayedHost second;

  @BeforeEach
  void begin() {
    run = new PlayedRun("train.steps=99", "replicate.every=4");
    first = run.host(1);
    second = run.host(2);
    run.start(first, second);
    run.enter(1, first.holds(0), second.holds(0));
  }

  @AfterEach
  void stop() {
    run.close();
  }

  private void expectReplicate(int epoch, long step) {
    for (PlayedHost host : new PlayedHost[] {first, second}) {
      assertEquals(new Host.Replicate(epoch, step), host.expect(Host.Replicate.class));
    }
  }

  private void replicated(int epoch, long step) {
    run.tell(new Host.Replicated(epoch, 1, step, 10));
    run.tell(new Host.Replicated(epoch, 1, step, 10));
    run.tell(new Host.Replicated(epoch, 2, step, 10));
    for (PlayedHost host : new PlayedHost[] {first, second}) {
      assertEquals(new Host.Keep(epoch, step), host.expect(Host.Keep.class));
    }
  }

  @Test
  void shouldWaitForCopiesRatherThanGetTooFarAhead() throws Exception {
    expectReplicate(1, 0);
    for (long step = 1; step <= 4; step++) {
      run.commit(1, step);
    }
    run.expectNothing();
    run.tell(new Host.Replicated(1, 1, 0, 10));
    run.expectNothing();
    run.tell(new Host.Replicated(1, 2, 3, 10));
    run.tell(new Host.Replicated(0, 2, 0, 10));
    run.expectNothing();
    run.tell(new Host.Replicated(1, 2, 0, 10));
    assertEquals(new Host.Keep(1, 0), first.expect(Host.Keep.class));
    assertEquals(new Host.Keep(1, 0), second.expect(Host.Keep.class));
    // They took four steps: the next ones begin at once, and the next step waits for them again.
    expectReplicate(1, 4);
    run.expectNothing();
    replicated(1, 4);
    run.commit(1, 5);
  }

  @Test
  void shouldNotWaitForCopiesThatComeInTime() throws Exception {
    expectReplicate(1, 0);
    run.expectStep(1, 1);
    replicated(1, 0);
    run.routed(1, 1, 0, 6, 2);
    run.routed(1, 1, 1, 6, 2);
    run.expectLoad(1, 1);
    run.ready(1, 1);
    run.expectApply(1, 1);
    run.applied(1, 1);
    run.commit(1, 2);
    run.collect(1, 3);
    run.expectNothing();
    run.ready(1, 3);
    run.expectApply(1, 3);
    run.applied(1, 3);
    expectReplicate(1, 3);
    run.expectStep(1, 4);
    replicated(1, 3);
  }

  /** The request or the answer got lost; everything is as it was after the last step. */
  @Test
  void shouldAskForCopiesOfTheStepAtHandWhenNoneCome() throws Exception {
    expectReplicate(1, 0);
    for (long step = 1; step <= 4; step++) {
      run.commit(1, step);
    }
    run.pass(Duration.ofSeconds(10));
    assertTrue(run.only(RunEvent.Late.class).who().contains("copies of node-1, node-2"));
    expectReplicate(1, 4);
    run.tell(new Host.Replicated(1, 1, 0, 10));
    run.tell(new Host.Replicated(1, 2, 0, 10));
    run.expectNothing();
    replicated(1, 4);
    run.commit(1, 5);
  }

  /** Whoever takes over knows of no copies: until there are some, nothing more may be lost. */
  @Test
  void shouldWaitForTheFirstCopiesAfterATakeOver() throws Exception {
    expectReplicate(1, 0);
    run.commit(1, 1);
    run.expectStep(1, 2);
    run.start(second, first);
    first.expectReport(1);
    second.expectReport(1);
    run.tell(new Host.Stale(1, 2, 1));
    run.enter(2, first.holds(1), second.holds(1));
    expectReplicate(2, 1);
    run.expectNothing();
    replicated(2, 1);
    run.commit(2, 2);
  }

  @Test
  void shouldCopyEverythingAnewInANewEpoch() throws Exception {
    expectReplicate(1, 0);
    run.commit(1, 1);
    PlayedHost third = run.host(3);
    run.collect(1, 2);
    run.present(first, second, third);
    run.settle();
    run.ready(1, 2);
    run.expectApply(1, 2);
    run.applied(1, 2);
    run.enter(2, first.holds(2), second.holds(2), third.holds());
    expectReplicate(2, 2);
    assertEquals(new Host.Replicate(2, 2), third.expect(Host.Replicate.class));
    // The last copies are of step 0, as far as anyone knows.
    run.commit(2, 3);
    run.commit(2, 4);
    run.expectNothing();
    run.tell(new Host.Replicated(2, 3, 2, 10));
    replicated(2, 2);
    assertEquals(new Host.Keep(2, 2), third.expect(Host.Keep.class));
    expectReplicate(2, 4);
    run.commit(2, 5);
  }
}

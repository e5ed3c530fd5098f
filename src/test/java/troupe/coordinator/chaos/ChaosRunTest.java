package troupe.coordinator.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import troupe.Eventually;
import troupe.coordinator.chaos.Disturbance.Kind;
import troupe.coordinator.launch.Console;
import troupe.coordinator.launch.FakeNode;
import troupe.coordinator.launch.LaunchPlan;
import troupe.core.UserException;

/** Real processes are killed and paused, but they only pretend to train. */
@Timeout(180)
final class ChaosRunTest {
  private static final ChaosRun.Limits LIMITS =
      new ChaosRun.Limits(
          Duration.ofSeconds(60),
          Duration.ofSeconds(20),
          Duration.ofSeconds(20),
          Duration.ofSeconds(20));
  private static final Duration CALM = Duration.ofMillis(200);

  @TempDir private Path folder;
  private Path run;
  private LaunchPlan plan;
  private final Console console = new Console();

  /** The fake's coordinator writes its last step when it is told to stop. */
  private record FakeHashes(String undisturbed) implements FinalHashes {
    @Override
    public Final disturbed(Path runFolder) {
      try {
        return new Final(Long.parseLong(Files.readString(runFolder.resolve("final"))), "same");
      } catch (IOException e) {
        throw new UserException("no checkpoint", "none", e);
      }
    }

    @Override
    public String undisturbed(long step) {
      return undisturbed;
    }
  }

  @BeforeEach
  void writeConfig() throws IOException {
    run = folder.resolve("run");
    Path config = Files.writeString(folder.resolve("tiny.conf"), "seed = 1");
    plan = LaunchPlan.of(config, List.of("run.dir=" + run), 5);
  }

  private ChaosRun chaos(ChaosRun.Limits limits, String undisturbed, String... moreFlags) {
    String[] flags =
        Stream.concat(
                IntStream.rangeClosed(1, 5).mapToObj(node -> "-Dnode-" + node + "=train"),
                Stream.of(moreFlags))
            .toArray(String[]::new);
    return new ChaosRun(
        FakeNode.command(flags),
        plan,
        new ChaosSettings(1, Duration.ofMinutes(2), false),
        limits,
        new FakeHashes(undisturbed),
        console.log(false, 5));
  }

  private static Iterator<Disturbance> faults(Kind... kinds) {
    return Stream.of(kinds)
        .map(
            kind ->
                new Disturbance(
                    kind, 3, CALM, kind.isPause() ? Duration.ofSeconds(6) : Duration.ZERO))
        .iterator();
  }

  @Test
  @Tag("slow") // Half a minute, and what fake nodes do at the same time depends on the machine.
  void shouldDoAndMeasureEveryKindOfFault() throws Exception {
    Kind[] kinds = {
      Kind.KILL_WORKER,
      Kind.REJOIN,
      Kind.KILL_TWO,
      Kind.REJOIN_LOSSY,
      Kind.REJOIN,
      Kind.PAUSE_COORDINATOR,
      Kind.REJOIN,
      Kind.KILL_COORDINATOR,
      Kind.MOVE,
      Kind.PAUSE_WORKER
    };
    ChaosVerdict verdict = chaos(LIMITS, "same").run(faults(kinds));
    assertTrue(verdict.holds(), () -> verdict.text() + console);
    assertEquals(List.of(kinds), verdict.faults().stream().map(FaultResult::kind).toList());
    for (FaultResult fault : verdict.faults()) {
      double least = fault.kind().deaths() > 0 ? 1 : 0;
      assertTrue(fault.recoveredSeconds().orElseThrow() >= least, fault::toString);
      boolean failsOver =
          fault.kind() == Kind.KILL_COORDINATOR || fault.kind() == Kind.PAUSE_COORDINATOR;
      assertTrue(!failsOver || fault.replayed() > 0, fault::toString);
    }
    assertTrue(verdict.steps() > 0);
    assertTrue(verdict.trainingShare() > 0.05 && verdict.trainingShare() < 1, verdict::text);
    assertEquals(verdict.json() + "\n", Files.readString(run.resolve("verdict.json")));
  }

  @Test
  void shouldGiveUpWithAClearVerdictWhenTheRunDoesNotRecover() throws Exception {
    ChaosRun.Limits impatient =
        new ChaosRun.Limits(LIMITS.begin(), Duration.ofSeconds(2), LIMITS.zombie(), LIMITS.stop());
    ChaosVerdict verdict =
        chaos(impatient, "same", "-Dnever.recovers=true").run(faults(Kind.KILL_WORKER));
    assertFalse(verdict.holds(), verdict::text);
    assertTrue(verdict.text().contains("no new step within 2 s"), () -> verdict.text() + console);
    assertEquals(
        0, verdict.faults().stream().filter(FaultResult::isRecovered).count(), verdict::text);
  }

  @Test
  void shouldNotHoldWhenTheUndisturbedRunEndsWithOtherBits() throws Exception {
    ChaosVerdict verdict = chaos(LIMITS, "other").run(faults(Kind.KILL_WORKER));
    assertEquals(List.of(), verdict.problems(), console::toString);
    assertFalse(verdict.holds());
    assertTrue(verdict.text().contains("DIFFERENT: same, undisturbed other"), verdict::text);
  }

  @Test
  void shouldReportANodeThatDiesByItselfAndARunThatNeverBegins() throws Exception {
    String[] flags = new String[5];
    for (int node = 1; node <= 5; node++) {
      flags[node - 1] = "-Dnode-" + node + "=exit:1";
    }
    ChaosVerdict verdict = chaos(LIMITS, "same", flags).run(faults(Kind.KILL_WORKER));
    assertFalse(verdict.holds());
    assertTrue(verdict.problems().contains("no step was ever committed"), verdict::text);
    assertTrue(verdict.problems().contains("node-4 failed (exit code 1) by itself"), verdict::text);
  }

  @Test
  void shouldStopWithoutAVerdictWhenInterrupted() {
    ChaosRun chaos = chaos(LIMITS, "same");
    CompletableFuture<ChaosVerdict> ended =
        CompletableFuture.supplyAsync(
            () -> {
              try {
                return chaos.run(new ChaosPlan(1, 5, false, ChaosPlan.Pace.USUAL));
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              } catch (InterruptedException e) {
                throw new IllegalStateException(e);
              }
            });
    Eventually.await(console, () -> console.out().contains("step 5/1000"));
    chaos.interrupt();
    CancellationException thrown =
        assertThrows(
            CancellationException.class,
            () -> {
              try {
                ended.join();
              } catch (CompletionException e) {
                throw e.getCause();
              }
            });
    assertFalse(Files.exists(run.resolve("verdict.json")), thrown::toString);
  }
}

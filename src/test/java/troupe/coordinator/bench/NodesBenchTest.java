package troupe.coordinator.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import troupe.Eventually;
import troupe.coordinator.launch.Console;
import troupe.coordinator.launch.FakeNode;
import troupe.coordinator.run.RunFailedException;
import troupe.core.UserException;

/** How a benchmark ends that cannot be measured; its processes only pretend to train. */
@Timeout(120)
final class NodesBenchTest {
  @TempDir private Path folder;
  private Path config;
  private Path runs;
  private final Console console = new Console();

  @BeforeEach
  void writeConfig() throws IOException {
    config = Files.writeString(folder.resolve("tiny.conf"), "cluster.threads = 2");
    runs = folder.resolve("runs");
  }

  private NodesPlan plan() {
    return NodesPlan.of(config, List.of("run.dir=" + runs), 2, 1, 1, 2);
  }

  private NodesBench bench(String... flags) {
    return new NodesBench(plan(), FakeNode.command(flags), console.log(false, 2), System::nanoTime);
  }

  private CompletableFuture<Throwable> failureInBackground(NodesBench bench) {
    return CompletableFuture.supplyAsync(() -> assertThrows(Throwable.class, bench::run));
  }

  @Test
  void shouldTellWhatAProcessThatFailsSaidLast() {
    NodesBench bench =
        bench("-Dalone=error:error: data.path: nowhere;error:HINT: set data.path;exit:2");
    RunFailedException e = assertThrows(RunFailedException.class, bench::run);
    assertEquals(
        "pair-1-one: the process has something for you to correct (exit code 2)\ndata.path: nowhere",
        e.getMessage());
    assertEquals("set data.path", e.hint());
  }

  @Test
  void shouldEndTheOtherNodesWhenOneDies() throws Exception {
    TimedRun many =
        new TimedRun(
            plan(),
            FakeNode.command("-Dnode-1=deaf", "-Dnode-2=error:out of luck;exit:134"),
            Spread.MANY,
            runs.resolve("pair-1-many"),
            console.log(false, 2),
            System::nanoTime);
    RunFailedException e = assertThrows(RunFailedException.class, many::run);
    assertEquals("pair-1-many: node-2 was killed (SIGABRT)\nout of luck", e.getMessage());
    assertTrue(e.hint().endsWith("pair-1-many"), e.hint());
  }

  @Test
  void shouldStopAtTheFirstInterruptAndKillAtTheSecond() throws Exception {
    NodesBench obedient = bench("-Dalone=print:step 1/3 obedient;stay");
    CompletableFuture<Throwable> ended = failureInBackground(obedient);
    Eventually.await(console, () -> console.out().contains("obedient"));
    obedient.interrupt();
    assertInstanceOf(CancellationException.class, ended.get(60, TimeUnit.SECONDS));

    NodesBench stubborn = bench("-Dalone=print:step 1/3 stubborn;deaf");
    ended = failureInBackground(stubborn);
    Eventually.await(console, () -> console.out().contains("stubborn"));
    stubborn.interrupt();
    stubborn.interrupt();
    assertInstanceOf(CancellationException.class, ended.get(60, TimeUnit.SECONDS));
    assertFalse(console.out().contains("tokens/s"), console::toString);
  }

  @Test
  void shouldRefuseAFolderThatHoldsRunsAlready() throws Exception {
    Files.createDirectories(runs.resolve("pair-1-one"));
    UserException e = assertThrows(UserException.class, bench()::run);
    assertTrue(e.getMessage().contains("pair-1-one is there already"), e.getMessage());
  }
}

package troupe.coordinator.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import troupe.Eventually;
import troupe.core.UserException;
import troupe.core.checkpoint.RunLock;

/** Launching as a person sees it, with nodes that only pretend to train. */
@Timeout(120)
final class LaunchTest {
  @TempDir private Path folder;
  private Path config;
  private Path run;
  private final Console console = new Console();

  @BeforeEach
  void writeConfig() throws IOException {
    run = folder.resolve("run");
    config = Files.writeString(folder.resolve("tiny.conf"), "run.dir = \"" + run + "\"");
  }

  private Launch launch(int nodes, boolean restarts, String... flags) {
    return new Launch(
        FakeNode.command(flags),
        LaunchPlan.of(config, List.of(), nodes),
        console.log(false, nodes),
        restarts);
  }

  private static CompletableFuture<Integer> inBackground(Launch launch) {
    return CompletableFuture.supplyAsync(
        () -> {
          try {
            return launch.run();
          } catch (InterruptedException e) {
            throw new IllegalStateException(e);
          }
        });
  }

  private void awaitOut(String text) {
    Eventually.await(text + " in " + console, () -> console.out().contains(text));
  }

  private static int result(CompletableFuture<Integer> ended) throws Exception {
    return ended.get(60, TimeUnit.SECONDS);
  }

  @Test
  void shouldCompleteThoughANodeDiesAndTellOfItsDeathAtOnce() throws Exception {
    Path told = folder.resolve("told");
    CompletableFuture<Integer> ended =
        inBackground(
            launch(
                2,
                false,
                "-Dnode-1=file:" + told + ";exit:0",
                "-Dnode-2=error:out of luck;exit:134"));
    Eventually.await(console, () -> console.err().contains("node-2 was killed (SIGABRT)"));
    assertTrue(console.err().contains("out of luck"), console::toString);
    assertFalse(ended.isDone());
    Files.createFile(told);
    assertEquals(Exit.DONE, result(ended));
    assertTrue(console.out().contains("node-1 ended"), console::toString);
  }

  @Test
  void shouldStopAllAtTheFirstInterruptAndKillAtTheSecond() throws Exception {
    Launch obedient = launch(2, false);
    CompletableFuture<Integer> ended = inBackground(obedient);
    awaitOut("node-1 | staying");
    awaitOut("node-2 | staying");
    obedient.interrupt();
    assertEquals(Exit.STOPPED, result(ended));

    Launch stubborn = launch(1, false, "-Dnode-1=print:second;deaf");
    ended = inBackground(stubborn);
    awaitOut("node-1 | second\nnode-1 | staying");
    stubborn.interrupt();
    assertFalse(ended.isDone());
    stubborn.interrupt();
    assertEquals(Exit.STOPPED, result(ended));
    assertTrue(console.err().contains("killing all nodes"), console::toString);
  }

  @Test
  void shouldStopTheOthersWhenOneNodeFindsAMistakeBeforeTheRunBegins() throws Exception {
    assertEquals(
        Exit.MISTAKE,
        launch(3, true, "-Dnode-2=error:error: run.dir: taken;exit:2").run(),
        console::toString);
    assertTrue(console.err().contains("error: run.dir: taken"), console::toString);
  }

  @Test
  void shouldLetTheOthersGoOnWhenANodeCannotJoinARunThatBegan() throws Exception {
    Path done = folder.resolve("done");
    Path begun = folder.resolve("begun");
    CompletableFuture<Integer> ended =
        inBackground(
            launch(
                2,
                false,
                "-Dnode-1=print:up;file:" + done + ";exit:0",
                "-Dnode-2=file:" + begun + ";exit:2"));
    awaitOut("node-1 | up");
    Files.writeString(run.resolve("metrics.jsonl"), "{\"step\":1}\n");
    Files.createFile(begun);
    Eventually.await(
        console, () -> console.err().contains("node-2 has something for you to correct"));
    Files.createFile(done);
    assertEquals(Exit.DONE, result(ended));
  }

  @Test
  void shouldStartTheDeadAgainButNotForEver() throws Exception {
    Path done = folder.resolve("done");
    CompletableFuture<Integer> ended =
        inBackground(launch(2, true, "-Dnode-1=file:" + done + ";exit:0", "-Dnode-2=exit:137"));
    Eventually.await(console, () -> console.err().contains("node-2 died 3 times in a row"));
    assertEquals(4, console.out().split("node-2: process", -1).length, console::toString);
    Files.createFile(done);
    assertEquals(Exit.DONE, result(ended));
  }

  @Test
  void shouldRefuseASecondLaunchOfTheRun() throws Exception {
    try (RunLock _ = RunLock.acquire(run, "launch.lock")) {
      UserException e = assertThrows(UserException.class, () -> launch(1, false).run());
      assertTrue(
          e.getMessage().contains("in use by process " + ProcessHandle.current().pid()),
          e.getMessage());
    }
    // The lock of the run itself is its coordinator's, not the launcher's.
    try (RunLock _ = RunLock.acquire(run)) {
      assertEquals(Exit.DONE, launch(1, false, "-Dnode-1=exit:0").run());
    }
  }
}

package troupe.coordinator.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import troupe.Eventually;
import troupe.core.UserException;

@Timeout(120)
final class HeardProcessTest {
  private static final int MANY = 200;

  private static final int AT_ONCE = 8;
  private static final Duration SOON = Duration.ofSeconds(60);

  @TempDir private Path folder;

  private HeardProcess shell(String script) {
    return HeardProcess.start(List.of("/bin/sh", "-c", script), folder);
  }

  private static List<String> all(OutputPipe pipe) throws IOException {
    List<String> lines = new ArrayList<>();
    pipe.readLines(lines::add);
    return lines;
  }

  /** What this process has open in the folder, names that are gone included. */
  private List<String> open() throws IOException {
    List<String> open = new ArrayList<>();
    try (Stream<Path> descriptors = Files.list(Path.of("/proc/self/fd"))) {
      for (Path descriptor : descriptors.toList()) {
        try {
          open.add(Files.readSymbolicLink(descriptor).toString());
        } catch (IOException e) {
          // Closed in the meantime: that of the list itself, for one.
        }
      }
    }
    return open.stream().filter(path -> path.startsWith(folder.toString())).toList();
  }

  /** Closing is to wake who waits for the kernel, not who has yet to come there. */
  private static boolean isReading(Thread thread) {
    return Stream.of(thread.getStackTrace())
        .anyMatch(frame -> frame.getMethodName().equals("readIntoNativeBuffer"));
  }

  private void assertNothingIsLeft() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(List.of(), files.toList());
    }
    assertEquals(List.of(), open());
  }

  @Test
  void shouldHearWhatWasSaidBeforeAnybodyListened() throws Exception {
    HeardProcess heard = shell("echo one; echo two >&2; printf three; exit 4");
    assertEquals(4, heard.process().waitFor());
    heard.out().end();
    heard.err().end();
    assertEquals(List.of("one", "three"), all(heard.out()));
    assertEquals(List.of("two"), all(heard.err()));
    assertNothingIsLeft();
  }

  @Test
  void shouldHearAllOfManyThatEndWhileTheyAreListenedTo() throws Exception {
    ConcurrentLinkedQueue<String> said = new ConcurrentLinkedQueue<>();
    ChildNode.Ears ears =
        new ChildNode.Ears() {
          @Override
          public void line(ChildNode node, boolean isError, String line) {
            said.add(node.number() + (isError ? "! " : ": ") + line);
          }

          @Override
          public void ended(ChildNode node, Exit exit) {}
        };
    List<String> command = List.of("/bin/sh", "-c", "echo one; echo two >&2; echo three");
    for (int first = 0; first < MANY; first += AT_ONCE) {
      List<ChildNode> nodes =
          IntStream.range(first, first + AT_ONCE)
              .mapToObj(number -> ChildNode.start(number, command, ears))
              .toList();
      for (ChildNode node : nodes) {
        assertTrue(node.awaitExit(SOON));
      }
    }
    List<String> expected =
        IntStream.range(0, MANY)
            .boxed()
            .flatMap(number -> Stream.of(": one", ": three", "! two").map(line -> number + line))
            .toList();
    assertEquals(expected.stream().sorted().toList(), said.stream().sorted().toList());
  }

  @Test
  void shouldEndWithItsProcessThoughAGrandchildHoldsThePipes() throws Exception {
    List<String> said = new ArrayList<>();
    CompletableFuture<List<String>> heard = new CompletableFuture<>();
    ChildNode.Ears ears =
        new ChildNode.Ears() {
          @Override
          public void line(ChildNode node, boolean isError, String line) {
            said.add(line);
          }

          @Override
          public void ended(ChildNode node, Exit exit) {
            heard.complete(List.copyOf(said));
          }
        };
    ChildNode.start(1, List.of("/bin/sh", "-c", "sleep 600 & echo $!"), ears);
    ProcessHandle grandchild =
        ProcessHandle.of(Long.parseLong(heard.get(SOON.toSeconds(), TimeUnit.SECONDS).getFirst()))
            .orElseThrow();
    assertTrue(grandchild.isAlive());
    grandchild.destroy();
  }

  @Test
  void shouldStopListeningWhenClosed() throws Exception {
    HeardProcess heard = shell("exec sleep 600");
    Thread reader =
        Thread.ofPlatform()
            .daemon()
            .start(() -> assertThrows(IOException.class, () -> all(heard.out())));
    Eventually.await("reading", () -> isReading(reader));
    heard.out().close();
    reader.join();
    heard.err().end();
    assertEquals(List.of(), all(heard.err()));
    assertNothingIsLeft();
    heard.process().destroyForcibly().waitFor();
  }

  @Test
  void shouldLeaveNothingBehindWhenAProcessCannotBeStarted() throws Exception {
    List<String> command = List.of(folder.resolve("none").toString());
    assertThrows(UncheckedIOException.class, () -> HeardProcess.start(command, folder));
    assertNothingIsLeft();
  }

  @Test
  void shouldSayWhereThereCanBeNoPipes() {
    Path nowhere = folder.resolve("nowhere");
    UserException failure =
        assertThrows(UserException.class, () -> HeardProcess.start(List.of("/bin/true"), nowhere));
    assertTrue(failure.getMessage().startsWith("pipes in " + nowhere), failure::getMessage);
  }
}

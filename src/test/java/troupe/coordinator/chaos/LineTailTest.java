package troupe.coordinator.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class LineTailTest {
  @TempDir private Path folder;

  @Test
  void shouldTellEachLineOnceWhenItIsWhole() throws IOException {
    Path file = folder.resolve("lines");
    LineTail tail = new LineTail(file);
    assertEquals(List.of(), tail.poll());
    Files.writeString(file, "one\ntw");
    assertEquals(List.of("one"), tail.poll());
    Files.writeString(file, "o\n\nthree\n", StandardOpenOption.APPEND);
    assertEquals(List.of("two", "three"), tail.poll());
    assertEquals(List.of(), tail.poll());
  }

  @Test
  void shouldFollowTheNameToAnotherFileAndKnowWhatItSawInTheOld() throws IOException {
    Path file = Files.writeString(folder.resolve("lines"), "one\ntwo\nthree, half");
    LineTail tail = new LineTail(file);
    assertEquals(List.of("one", "two"), tail.poll());
    Path next = Files.writeString(folder.resolve("next"), "one\n2 again\n");
    Files.move(next, file, StandardCopyOption.ATOMIC_MOVE);
    assertEquals(List.of("2 again"), tail.poll());
    Files.writeString(file, "three\n", StandardOpenOption.APPEND);
    assertEquals(List.of("three"), tail.poll());
  }

  @Test
  void shouldReadAFileThatWasCutFromItsBeginning() throws IOException {
    Path file = Files.writeString(folder.resolve("lines"), "one\ntwo\n");
    LineTail tail = new LineTail(file);
    tail.poll();
    Files.writeString(file, "new\n");
    assertEquals(List.of("new"), tail.poll());
  }
}

package troupe.coordinator.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

final class MergedLogTest {
  private final Console console = new Console();

  @Test
  void shouldPrefixEachLineAndKeepErrorsApart() {
    MergedLog log = console.log(false, 12);
    log.line(1, false, "model      4 layers");
    log.line(12, true, "WARNING: Using incubator modules: jdk.incubator.vector");
    log.line(12, true, "error: port taken");
    log.note("launch     hello");
    log.close();
    assertEquals("node-1  | model      4 layers\nlaunch     hello\n", lines(console.out()));
    assertEquals("node-12 | error: port taken\n", lines(console.err()));
  }

  @Test
  void shouldPrintProgressOnceWhereNobodyWatches() {
    MergedLog log = console.log(false, 3);
    log.line(2, false, "step     1/90  loss 5.0  ce 4.9");
    log.line(2, false, "step     1/90  loss 5.0  ce 4.9");
    log.line(2, false, "step     2/90  loss 4.0  ce 3.9");
    log.close();
    assertEquals(
        "node-2 | step     1/90  loss 5.0  ce 4.9\nnode-2 | step     2/90  loss 4.0  ce 3.9\n",
        lines(console.out()));
  }

  @Test
  void shouldKeepOneLineOfProgressAtTheBottomOfATerminal() {
    MergedLog log = console.log(true, 3);
    log.line(1, false, "step     1/90  loss 5.0");
    log.line(1, false, "step     2/90  loss 4.0");
    log.note("launch     node-3 is gone");
    log.close();
    assertEquals(
        "launch     node-3 is gone\nnode-1 | step     2/90  loss 4.0\n",
        screen(console.out()),
        console::toString);
  }

  @Test
  void shouldTakeNoValidationForProgress() {
    MergedLog log = console.log(true, 1);
    log.line(1, false, "step    20  validation loss 3.1 nats/byte");
    log.line(1, false, "step    40/90  loss 2.0");
    log.close();
    assertEquals(
        "node-1 | step    20  validation loss 3.1 nats/byte\nnode-1 | step    40/90  loss 2.0\n",
        screen(console.out()));
  }

  @Test
  void shouldUseColoursForTerminalsOnly() {
    MergedLog plain = console.log(false, 1);
    plain.line(1, false, "text");
    plain.warn("gone");
    assertFalse((console.out() + console.err()).contains("\u001b"));
    console.log(true, 1).warn("gone");
    assertTrue(console.err().contains("\u001b[31mgone\u001b[0m"));
  }

  /** What a terminal shows in the end: erased lines are gone, colours have no width. */
  private static String screen(String printed) {
    StringBuilder shown = new StringBuilder();
    for (String line : lines(printed).split("(?<=\n)")) {
      int erased = line.lastIndexOf("\r\u001b[2K");
      shown.append(erased < 0 ? line : line.substring(erased + "\r\u001b[2K".length()));
    }
    return shown.toString().replaceAll("\u001b\\[[?0-9]*[a-zA-Z]", "");
  }

  private static String lines(String text) {
    return text.replace(System.lineSeparator(), "\n");
  }
}

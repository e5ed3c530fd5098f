package troupe.coordinator.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import troupe.core.UserException;

class TroupeTest {
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();
  private final CommandLine troupe = Troupe.commandLine(new PrintWriter(out), new PrintWriter(err));

  @TempDir Path folder;

  @Command(name = "throw")
  private record Throwing(Exception failure) implements Callable<Integer> {
    @Override
    public Integer call() throws Exception {
      throw failure;
    }
  }

  @Test
  void shouldTeachByExampleWhenAskedForHelp() {
    assertEquals(0, troupe.execute("--help"));
    assertTrue(out.toString().contains("troupe train configs/quickstart.conf"));
    assertTrue(out.toString().contains("doctor"));
    assertEquals("", err.toString());
  }

  @Test
  void shouldNameItselfAndJavaWhenAskedForItsVersion() {
    assertEquals(0, troupe.execute("--version"));
    assertTrue(out.toString().contains("java " + Runtime.version()), out.toString());
  }

  @Test
  void shouldSuggestTheVerbThatWasMeant() {
    assertEquals(2, troupe.execute("doctr"));
    assertEquals(
        "error: Unmatched argument at index 0: 'doctr'\nHINT: did you mean doctor?\n", lines(err));
  }

  @Test
  void shouldAskForAVerbWhenThereIsNone() {
    assertEquals(2, troupe.execute());
    assertTrue(err.toString().startsWith("error: verb: none"), err.toString());
  }

  @Test
  void shouldGiveMessageAndHintWhenTheUserErred() {
    int code = fail(new UserException("a: 1 (expected: 2)\nb: 3 (expected: 4)", "set a and b"));
    assertEquals(2, code);
    assertEquals(
        "error: a: 1 (expected: 2)\nerror: b: 3 (expected: 4)\nHINT: set a and b\n", lines(err));
  }

  @Test
  void shouldLookBehindWrappersOfFutures() {
    UserException mistake = new UserException("a: 1 (expected: 2)", "set a");
    assertEquals(2, fail(new CompletionException(mistake)));
    assertTrue(err.toString().startsWith("error: a: 1"), err.toString());
  }

  @Test
  void shouldExitWith130WhenInterrupted() {
    assertEquals(130, fail(new InterruptedException()));
    assertEquals(130, fail(new CancellationException()));
  }

  @Test
  void shouldPointToTheStackTraceWhenItIsNotTheUsersMistake() throws IOException {
    assertEquals(1, fail(new IllegalStateException("step: 3 (expected: 4)")));
    String printed = lines(err);
    assertTrue(printed.startsWith("error: IllegalStateException: step: 3 (expected: 4)\nHINT: "));
    Path log = Path.of(printed.substring(printed.lastIndexOf(' ') + 1).strip());
    assertTrue(Files.readString(log).contains("\tat troupe.coordinator.cli.TroupeTest"));
    Files.delete(log);
  }

  @Test
  void shouldPutTheStackTraceInTheLogOfTheRunWhenOneIsOpen() throws IOException {
    try (RunLog _ = RunLog.open(folder)) {
      fail(new IllegalStateException("broken"));
    }
    Path file = folder.resolve(RunLog.FILE);
    assertTrue(lines(err).endsWith(file + "\n"), lines(err));
    assertTrue(Files.readString(file).contains("IllegalStateException: broken"));
  }

  @Test
  void shouldSayThatTheRunFolderIsNotWritable() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "");
    int code =
        failWith(
            () -> {
              RunLog.open(file).close();
              return 0;
            });
    assertEquals(2, code);
    assertTrue(err.toString().startsWith("error: log: " + file), err.toString());
  }

  @Test
  void shouldPrintJsonWithEverySectionWhenDoctorIsAskedTo() {
    assertEquals(0, troupe.execute("doctor", "--json"));
    JsonObject root = JsonParser.parseString(out.toString()).getAsJsonObject();
    assertEquals(
        Runtime.getRuntime().availableProcessors(),
        root.getAsJsonObject("cpu").get("cores").getAsInt());
    assertTrue(root.getAsJsonObject("cpu").get("matmul_gflops").getAsDouble() > 0);
    assertTrue(root.getAsJsonObject("java").get("heap_limit_bytes").getAsLong() > 0);
    assertTrue(root.getAsJsonObject("memory").get("total_bytes").getAsLong() > 0);
    assertFalse(root.getAsJsonObject("gpu").get("device").getAsString().isEmpty());
    assertTrue(root.has("advice"));
  }

  private int fail(Exception failure) {
    return execute(new Throwing(failure));
  }

  private int failWith(Callable<Integer> work) {
    @Command(name = "throw")
    record Working(Callable<Integer> work) implements Callable<Integer> {
      @Override
      public Integer call() throws Exception {
        return work.call();
      }
    }
    return execute(new Working(work));
  }

  private int execute(Object verb) {
    CommandLine commandLine = Troupe.commandLine(new PrintWriter(out), new PrintWriter(err));
    commandLine.addSubcommand(verb);
    // picocli hands writers on to those subcommands only that are there already.
    return commandLine.setErr(new PrintWriter(err)).execute("throw");
  }

  private static String lines(StringWriter text) {
    return text.toString().replace(System.lineSeparator(), "\n");
  }
}

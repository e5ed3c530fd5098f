package troupe.core.tensor.cuda;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.TimeUnit;
import troupe.Eventually;
import troupe.coordinator.launch.JavaCommand;

/** Another process with a GPU, {@link ShelfMain}, told what to do by lines. */
final class ShelfProcess implements AutoCloseable {
  private final Process process;
  private final PrintWriter in;
  private final BufferedReader out;

  /**
   * Starts one; its GPU is open.
   *
   * @param device the name of its device
   * @param visible the GPUs that it sees, as in {@code CUDA_VISIBLE_DEVICES}; may be empty
   */
  ShelfProcess(String device, String visible) {
    JavaCommand java = JavaCommand.ofThisJvm(ShelfMain.class.getName()).with(List.of("-Xmx512m"));
    ProcessBuilder builder =
        new ProcessBuilder(java.words(List.of(device)))
            .redirectError(ProcessBuilder.Redirect.INHERIT);
    if (!visible.isEmpty()) {
      builder.environment().put("CUDA_VISIBLE_DEVICES", visible);
    }
    try {
      process = builder.start();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    in = new PrintWriter(process.outputWriter(), true);
    out = process.inputReader();
    answer();
  }

  /** Has it lay elements on its shelf; returns where. */
  byte[] lay(int rows, long seed) {
    return HexFormat.of().parseHex(ask("lay " + rows + " " + seed));
  }

  /**
   * Has it lay elements, whose copy to the shelf then waits for {@link #openGate}; returns where
   * they will be, or nothing if it cannot say that before they are.
   *
   * @param folder for its signals
   */
  byte[] layLate(Path folder, int rows, long seed) {
    return HexFormat.of().parseHex(ask("late " + folder + " " + rows + " " + seed));
  }

  /** Lets what leaves go on. */
  void openGate() {
    ask("open");
  }

  /** Has it take back all that is on its shelf. */
  void takeBack() {
    ask("return");
  }

  /**
   * Has it copy elements from this process; says where they differ from what they should be, as
   * {@code MemorySegment.mismatch} does, or that they are out of reach.
   */
  String pick(byte[] reference, int rows, long seed) {
    return ask("pick " + HexFormat.of().formatHex(reference) + " " + rows + " " + seed);
  }

  /** Has it copy them over and over, for ever. */
  void keepPicking(byte[] reference, int rows) {
    ask("keep " + HexFormat.of().formatHex(reference) + " " + rows);
  }

  /** Ends it as {@code kill -9} does, and waits until it has. */
  void kill() {
    process.destroyForcibly();
    try {
      if (!process.waitFor(Eventually.TIMEOUT.toSeconds(), TimeUnit.SECONDS)) {
        throw new AssertionError("does not end");
      }
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Override
  public void close() {
    kill();
  }

  private String ask(String question) {
    in.println(question);
    return answer();
  }

  private String answer() {
    try {
      String line;
      while ((line = out.readLine()) != null) {
        if (line.startsWith(ShelfMain.MARK)) {
          return line.substring(ShelfMain.MARK.length());
        }
      }
      throw new AssertionError("it ended");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}

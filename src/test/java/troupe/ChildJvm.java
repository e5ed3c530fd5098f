package troupe;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import troupe.coordinator.launch.JavaCommand;

/** A JVM of its own with the flags of this one, told what to do by lines; it answers each. */
public final class ChildJvm implements AutoCloseable {
  /** Begins its answers; other lines are not for the parent. */
  private static final String MARK = "@";

  private final Process process;
  private final PrintWriter in;
  private final BufferedReader out;

  /**
   * Starts one; its errors are printed with those of this JVM.
   *
   * @param main the class whose main method says {@link #answer}
   * @param moreFlags beside those of this JVM
   * @param environment variables beside those of this JVM
   */
  public ChildJvm(
      Class<?> main, List<String> moreFlags, Map<String, String> environment, String... arguments) {
    JavaCommand java =
        JavaCommand.ofThisJvm(main.getName()).with(List.of("-Xmx512m")).with(moreFlags);
    ProcessBuilder builder =
        new ProcessBuilder(java.words(List.of(arguments)))
            .redirectError(ProcessBuilder.Redirect.INHERIT);
    builder.environment().putAll(environment);
    try {
      process = builder.start();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    in = new PrintWriter(process.outputWriter(), true);
    out = process.inputReader();
  }

  /** In the child: answers. */
  public static void answer(String line) {
    System.out.println(MARK + line);
  }

  /** Tells it something and waits for the answer. */
  public String ask(String question) {
    tell(question);
    return await();
  }

  /** Tells it something. */
  public void tell(String line) {
    in.println(line);
  }

  /** Waits for its next answer. */
  public String await() {
    try {
      String line;
      while ((line = out.readLine()) != null) {
        if (line.startsWith(MARK)) {
          return line.substring(MARK.length());
        }
      }
      throw new AssertionError("it ended");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Waits for its end; returns its exit code. */
  public int awaitEnd() {
    try {
      if (!process.waitFor(Eventually.TIMEOUT.toSeconds(), TimeUnit.SECONDS)) {
        throw new AssertionError("does not end");
      }
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
    return process.exitValue();
  }

  public long pid() {
    return process.pid();
  }

  public boolean isAlive() {
    return process.isAlive();
  }

  /** Ends it as {@code kill -9} does, and waits until it has. */
  @Override
  public void close() {
    process.destroyForcibly();
    awaitEnd();
  }
}

package troupe.coordinator.launch;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import troupe.core.UserException;

/**
 * A process that is heard to its last word. It prints to named pipes, since those of {@link
 * Process} end when their last writer does, which may be a process that it left behind: a reader
 * who is late cannot be told from one who waits for that. To these this process writes the end.
 *
 * @param out what it prints to its standard output
 * @param err what it prints to its standard error
 */
record HeardProcess(Process process, OutputPipe out, OutputPipe err) {
  private static final int MKFIFO_TIMEOUT_SECONDS = 30;

  /**
   * Starts a process in the working directory of this one.
   *
   * @throws UserException if no pipes can be made
   * @throws UncheckedIOException if the process cannot be started
   */
  static HeardProcess start(List<String> command) {
    return start(command, Path.of(System.getProperty("java.io.tmpdir")));
  }

  /**
   * As {@link #start(List)}; in {@code temporary} the pipes have names until both ends are open.
   */
  static HeardProcess start(List<String> command, Path temporary) {
    try (Names names = Names.make(temporary)) {
      return start(command, names);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static HeardProcess start(List<String> command, Names names) throws IOException {
    List<OutputPipe> pipes = new ArrayList<>();
    try {
      pipes.add(OutputPipe.open(names.out()));
      pipes.add(OutputPipe.open(names.err()));
      Process process =
          new ProcessBuilder(command)
              .redirectOutput(names.out().toFile())
              .redirectError(names.err().toFile())
              .start();
      return new HeardProcess(process, pipes.getFirst(), pipes.getLast());
    } catch (IOException | RuntimeException e) {
      for (OutputPipe pipe : pipes) {
        pipe.close();
      }
      throw e;
    }
  }

  /** Two pipes that have names until this is closed. */
  private record Names(Path folder, Path out, Path err) implements AutoCloseable {
    static Names make(Path temporary) {
      try {
        Path folder = Files.createTempDirectory(temporary, "troupe-pipes-");
        Names names = new Names(folder, folder.resolve("out"), folder.resolve("err"));
        try {
          names.makePipes();
        } catch (IOException | RuntimeException e) {
          try (names) {
            throw e;
          }
        }
        return names;
      } catch (IOException e) {
        throw new UserException(
            "pipes in %s: %s (expected: mkfifo works there)".formatted(temporary, e),
            "free some space, or set JDK_JAVA_OPTIONS=-Djava.io.tmpdir=FOLDER",
            e);
      }
    }

    private void makePipes() throws IOException {
      Process mkfifo =
          new ProcessBuilder("mkfifo", "-m", "600", out.toString(), err.toString())
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .redirectError(ProcessBuilder.Redirect.DISCARD)
              .start();
      try {
        if (!mkfifo.waitFor(MKFIFO_TIMEOUT_SECONDS, TimeUnit.SECONDS)) {
          throw new IOException("mkfifo takes more than %d s".formatted(MKFIFO_TIMEOUT_SECONDS));
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new InterruptedIOException("interrupted");
      } finally {
        mkfifo.destroyForcibly();
      }
      if (mkfifo.exitValue() != 0) {
        throw new IOException("mkfifo ends with exit code " + mkfifo.exitValue());
      }
    }

    @Override
    public void close() throws IOException {
      Files.deleteIfExists(out);
      Files.deleteIfExists(err);
      Files.deleteIfExists(folder);
    }
  }
}

package troupe.router.trace;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import troupe.core.UserException;
import troupe.core.config.RunConfig;
import troupe.core.tensor.RoutingKernels.DrawKey;
import troupe.core.tensor.Tensor;
import troupe.router.gate.CounterDraws;
import troupe.router.gate.Draws;

/**
 * Writes what the gates of one layer see to {@code RUN/trace}, a file for each rank. Appends at
 * once: a rank's logits are small beside what it computes, and a step that is committed is on disk.
 *
 * <p>Nothing that goes wrong here reaches training: a disk that refuses costs the rest of the
 * trace, and one warning.
 */
public final class RouterTrace {
  /** The folder of the trace in that of the run. */
  public static final String FOLDER = "trace";

  private static final Logger LOG = LoggerFactory.getLogger(RouterTrace.class);
  private static final double[] NO_STATE = {};

  /** Folders that could not be written to; all layers and ranks of the process stop at once. */
  private static final Set<Path> GIVEN_UP = ConcurrentHashMap.newKeySet();

  private final Path folder;
  private final int layer;
  private final long tokensOfRank;
  private Path opened;

  private RouterTrace(RunConfig config, int layer) {
    this.folder = Path.of(config.run().dir()).resolve(FOLDER);
    this.layer = layer;
    this.tokensOfRank =
        (long) config.train().batch() / config.train().ranks() * config.model().seq();
  }

  /** The trace of a layer, or {@code null} if the run is to leave none. */
  public static RouterTrace of(RunConfig config, int layer) {
    return config.gate().trace() ? new RouterTrace(config, layer) : null;
  }

  /**
   * Appends a micro-batch in training; waits for the device that has the logits.
   *
   * @param state what the gate keeps, {@code null} if nothing
   * @param draws say which tokens these are
   */
  public void write(Tensor logits_TE, int[] ids_T, Tensor state, Draws draws) {
    if (GIVEN_UP.contains(folder) || !(draws instanceof CounterDraws counters)) {
      return;
    }
    DrawKey key = counters.key();
    TraceRecord record =
        new TraceRecord(
            key.step() & 0xFFFFFFFFL,
            key.firstToken(),
            logits_TE.columns(),
            ids_T,
            state == null ? NO_STATE : state.toDoubles(),
            logits_TE.toDoubles());
    int rank = Math.toIntExact(key.firstToken() / tokensOfRank);
    try {
      append(
          TraceFile.path(folder, rank, layer),
          new TraceFile.Head(layer, rank, record.experts(), key.seed()),
          record);
    } catch (IOException | UserException e) {
      if (GIVEN_UP.add(folder)) {
        LOG.warn("trace={} given up, training goes on: cause={}", folder, e.toString());
      }
    }
  }

  private void append(Path file, TraceFile.Head head, TraceRecord record) throws IOException {
    if (!file.equals(opened)) {
      begin(file, head);
      opened = file;
    }
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      long end = channel.size();
      try {
        write(channel, end, record.encode());
      } catch (IOException e) {
        // What is there stays readable.
        channel.truncate(end);
        throw e;
      }
    }
  }

  /** Makes the file, or cuts off what a process that was killed left half written. */
  private void begin(Path file, TraceFile.Head head) throws IOException {
    Files.createDirectories(folder);
    boolean exists = Files.exists(file) && Files.size(file) >= TraceFile.HEADER;
    long whole = 0;
    if (exists) {
      try (TraceFile earlier = TraceFile.open(file)) {
        whole = earlier.wholeBytes();
      }
    }
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.WRITE, StandardOpenOption.CREATE)) {
      channel.truncate(whole);
      if (!exists) {
        write(channel, 0, head.encode());
      }
    }
  }

  private static void write(FileChannel channel, long at, ByteBuffer bytes) throws IOException {
    long position = at;
    while (bytes.hasRemaining()) {
      position += channel.write(bytes, position);
    }
  }
}

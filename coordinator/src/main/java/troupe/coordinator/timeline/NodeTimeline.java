package troupe.coordinator.timeline;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import troupe.coordinator.files.AtomicFile;
import troupe.core.config.RunConfig;
import troupe.core.data.Batch;
import troupe.core.tensor.DeviceGroup;
import troupe.core.tensor.cuda.CudaDevice;
import troupe.core.tensor.cuda.CudaDevices;
import troupe.core.tensor.cuda.CuptiTimeline;
import troupe.core.tensor.cuda.GpuRecording;
import troupe.router.BatchSource;

/**
 * Records what the GPUs of a node do in ten steps, as {@code bench train --timeline} does for one
 * process, and writes it when the node ends. Times of all processes of a machine are by one clock,
 * so their files can be made one. {@code -Dtroupe.timeline=FOLDER} asks for it, {@code
 * -Dtroupe.timeline.from=STEP} says where it begins.
 */
public final class NodeTimeline implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(NodeTimeline.class);

  private static final String FOLDER = "troupe.timeline";

  /** By default when the JIT compiler is done with most. */
  private static final long FROM = Long.getLong("troupe.timeline.from", 100);

  private static final int STEPS = 10;

  private final Path file;
  private final CuptiTimeline timeline;
  private final AtomicBoolean hasBegun = new AtomicBoolean();
  private final AtomicBoolean hasEnded = new AtomicBoolean();

  private NodeTimeline(Path file, CuptiTimeline timeline) {
    this.file = file;
    this.timeline = timeline;
  }

  /**
   * Begins to record if that was asked for; else {@code null}.
   *
   * @throws troupe.core.UserException if this process cannot be profiled
   */
  public static NodeTimeline open(RunConfig config, DeviceGroup devices) {
    String folder = System.getProperty(FOLDER);
    if (folder == null || !(devices.first() instanceof CudaDevice)) {
      return null;
    }
    Path file = Path.of(folder, "node-" + ProcessHandle.current().pid() + ".json");
    return new NodeTimeline(file, CudaDevices.record(devices.devices(), config.cuda().lib()));
  }

  /** The same batches: who asks for those of a step is about to begin it, or the one before. */
  public BatchSource watching(BatchSource batches) {
    return new BatchSource() {
      @Override
      public Batch training(long step, int rank, int microBatch) {
        onStep(step);
        return batches.training(step, rank, microBatch);
      }

      @Override
      public Batch validation(int index, int count) {
        return batches.validation(index, count);
      }
    };
  }

  private void onStep(long step) {
    if (step >= FROM && hasBegun.compareAndSet(false, true)) {
      timeline.begin();
    }
    if (step >= FROM + STEPS && hasEnded.compareAndSet(false, true)) {
      timeline.cut();
    }
  }

  /** Ends and writes; a failure is told in the log. */
  @Override
  public void close() {
    try (timeline) {
      GpuRecording recording = timeline.end();
      long dayNs = Duration.ofDays(1).toNanos();
      long midnightNs = recording.fromNs() / dayNs * dayNs;
      AtomicFile.write(file, to -> ChromeTrace.write(recording, midnightNs, to));
      LOG.info(
          "timeline={} activities={} lost={}",
          file,
          recording.activities().size(),
          recording.lost());
    } catch (IOException | RuntimeException e) {
      LOG.error("timeline={}", file, e);
    }
  }
}

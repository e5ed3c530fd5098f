package troupe.core.checkpoint;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import troupe.core.checkpoint.CheckpointOutcome.CheckpointFailed;
import troupe.core.checkpoint.CheckpointOutcome.CheckpointWritten;

/**
 * Writes checkpoints beside training. {@link #begin} announces one, owners {@link #offer} their
 * snapshots from any thread, and when the last has been written the checkpoint gets its name. At
 * most one is being written and one collected; a third is refused, so that snapshots never pile up.
 * Nothing here throws into training: a full disk is an outcome. The thread is a daemon: {@link
 * #close} is what waits for the disk.
 */
public final class CheckpointWriter implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(CheckpointWriter.class);

  /** A disk that takes longer for one shard is not expected to answer again. */
  private static final Duration PATIENCE = Duration.ofMinutes(2);

  private final Path checkpoints;
  private final int keep;
  private final Consumer<CheckpointOutcome> listener;
  private final OutputFile.Factory files;
  private final InstantSource clock;
  private final Thread thread;
  private final CheckpointQueue queue = new CheckpointQueue();
  private final AtomicLong progress = new AtomicLong();
  private final Duration patience;

  /**
   * Starts the writing thread and removes what dead processes left half written.
   *
   * @param checkpoints the folder of all checkpoints of the run; the caller holds the {@link
   *     RunLock}
   * @param keep how many checkpoints stay, at least one
   * @param listener told of every outcome on the writing thread; it must not block
   */
  public static CheckpointWriter start(
      Path checkpoints, int keep, Consumer<CheckpointOutcome> listener) {
    return start(checkpoints, keep, listener, OutputFile::onDisk, InstantSource.system(), PATIENCE);
  }

  static CheckpointWriter start(
      Path checkpoints,
      int keep,
      Consumer<CheckpointOutcome> listener,
      OutputFile.Factory files,
      InstantSource clock,
      Duration patience) {
    if (keep < 1) {
      throw new IllegalArgumentException("checkpoint.keep: " + keep + " (expected: >= 1)");
    }
    new Retention(checkpoints).removeStale();
    CheckpointWriter writer =
        new CheckpointWriter(checkpoints, keep, listener, files, clock, patience);
    writer.thread.start();
    return writer;
  }

  private CheckpointWriter(
      Path checkpoints,
      int keep,
      Consumer<CheckpointOutcome> listener,
      OutputFile.Factory files,
      InstantSource clock,
      Duration patience) {
    this.checkpoints = checkpoints;
    this.keep = keep;
    this.listener = listener;
    this.files = files;
    this.clock = clock;
    this.patience = patience;
    this.thread = Thread.ofPlatform().daemon().name("checkpoint-writer").unstarted(this::run);
  }

  /**
   * Announces a checkpoint.
   *
   * @return false if two are under way, this one is, or the writer is closed: the caller goes on
   *     without
   */
  public boolean begin(CheckpointRequest request) {
    return queue.begin(request);
  }

  /**
   * Hands over the snapshot of one shard. If nothing waits for it (the checkpoint was refused, has
   * failed, or has it already) it is released at once.
   *
   * @return whether it was taken
   */
  public boolean offer(long epoch, long step, ShardSnapshot snapshot) {
    boolean taken = queue.offer(epoch, step, snapshot);
    progress.addAndGet(taken ? 1 : 0);
    if (!taken) {
      LOG.debug("snapshot released epoch={} step={} shard={}", epoch, step, snapshot.shard());
      release(snapshot);
    }
    return taken;
  }

  /**
   * Gives up a checkpoint whose shards will not all come, after a rollback say. Nothing happens if
   * there is none.
   */
  public void abort(long epoch, long step, String reason) {
    queue.abort(epoch, step, reason).forEach(CheckpointWriter::release);
  }

  /** Grows with each shard that is taken, and with each that is written. */
  public long progress() {
    return progress.get();
  }

  /**
   * Finishes what has all its shards, gives up the rest, and waits for the disk as long as it takes
   * shards at all.
   */
  @Override
  public void close() {
    queue.close("the run ended before all shards had come").forEach(CheckpointWriter::release);
    boolean interrupted = false;
    long before = -1;
    while (thread.isAlive() && progress.get() != before) {
      before = progress.get();
      try {
        thread.join(patience);
      } catch (InterruptedException e) {
        // A checkpoint that is nearly on the disk is worth more than a quick end.
        interrupted = true;
        before = -1;
      }
    }
    if (thread.isAlive()) {
      LOG.error("checkpoint given up: {} takes nothing for {}", checkpoints, patience);
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void run() {
    for (Optional<CheckpointJob> job = queue.awaitJob(); job.isPresent(); job = queue.awaitJob()) {
      CheckpointOutcome outcome = write(job.get());
      queue.removeFirst().forEach(CheckpointWriter::release);
      report(outcome);
    }
  }

  private CheckpointOutcome write(CheckpointJob job) {
    CheckpointRequest request = job.request();
    long writingNs = 0;
    try (CheckpointDirectory directory = CheckpointDirectory.create(checkpoints, request, files)) {
      for (Optional<ShardSnapshot> shard = queue.awaitShard(job);
          shard.isPresent();
          shard = queue.awaitShard(job)) {
        long startNs = System.nanoTime();
        try {
          directory.write(shard.get());
          progress.incrementAndGet();
        } finally {
          release(shard.get());
        }
        writingNs += System.nanoTime() - startNs;
      }
      Optional<String> abortReason = queue.abortReason(job);
      if (abortReason.isPresent()) {
        return new CheckpointFailed(
            request.epoch(),
            request.step(),
            abortReason.get(),
            "the next checkpoint is tried in its turn");
      }
      long startNs = System.nanoTime();
      Path path = directory.publish(clock.instant());
      new Retention(checkpoints).keepNewest(keep, request.step());
      long endNs = System.nanoTime();
      return new CheckpointWritten(
          request.epoch(),
          request.step(),
          path,
          directory.bytes(),
          Duration.ofNanos(endNs - job.startedNs()),
          Duration.ofNanos(writingNs + endNs - startNs));
    } catch (IOException | RuntimeException | Error e) {
      // Whatever happens to a copy on the disk, the run in memory is sound and goes on.
      return new CheckpointFailed(
          request.epoch(),
          request.step(),
          checkpoints + ": " + describe(e),
          "free disk space or make the folder writable; the next checkpoint is tried in its turn");
    }
  }

  private void report(CheckpointOutcome outcome) {
    switch (outcome) {
      case CheckpointWritten written ->
          LOG.info(
              "checkpoint written step={} bytes={} elapsedMs={} writingMs={} path={}",
              written.step(),
              written.bytes(),
              written.elapsed().toMillis(),
              written.writing().toMillis(),
              written.directory());
      case CheckpointFailed failed ->
          LOG.info(
              "checkpoint failed step={} cause={}\nHINT: {}",
              failed.step(),
              failed.reason(),
              failed.hint());
    }
    try {
      listener.accept(outcome);
    } catch (RuntimeException e) {
      LOG.error("checkpoint listener failed step={}", outcome.step(), e);
    }
  }

  private static String describe(Throwable e) {
    // Some exceptions of the file system have a path for a message and say the rest by their name.
    boolean nameless = e instanceof FileSystemException file && file.getReason() == null;
    String message =
        e instanceof IOException && e.getMessage() != null && !nameless
            ? e.getMessage()
            : e.toString();
    return message.lines().findFirst().orElse("");
  }

  private static void release(ShardSnapshot snapshot) {
    try {
      snapshot.release().run();
    } catch (RuntimeException e) {
      LOG.error("snapshot release failed shard={}", snapshot.shard(), e);
    }
  }
}

package troupe.core.tensor.cuda;

import java.util.ArrayList;
import java.util.List;
import troupe.core.UserException;
import troupe.core.tensor.cuda.driver.CudaException;
import troupe.core.tensor.cuda.driver.Cupti;
import troupe.core.tensor.cuda.driver.GpuActivity;

/**
 * Records what GPUs do by CUPTI: all streams as they run beside each other, at little cost, which
 * {@link GpuTimeline} cannot. Launches do wait for it a little, and it starts slowly, so one does
 * some work between opening it and {@link #begin}.
 */
public final class CuptiTimeline implements AutoCloseable {
  private static final int INSUFFICIENT_PRIVILEGES = 35;
  private static final int VIRTUALIZED_INSUFFICIENT_PRIVILEGES = 40;

  private final Cupti cupti;
  private final List<Gpu> gpus;
  private final List<GpuActivity> activities = new ArrayList<>();
  private boolean started;

  /** Activities that end before it are forgotten. */
  private long fromNs = Long.MAX_VALUE;

  /** Activities that begin after it are, too. */
  private long toNs = Long.MAX_VALUE;

  /**
   * Starts CUPTI.
   *
   * @param gpus all that are at work
   * @throws UserException if this process cannot be profiled
   */
  CuptiTimeline(Cupti cupti, List<Gpu> gpus) {
    this.cupti = cupti;
    this.gpus = List.copyOf(gpus);
    try {
      cupti.start(this::add);
      started = true;
    } catch (CudaException e) {
      throw new UserException("profile: " + e.line(), hint(e.code()), e);
    }
  }

  private static String hint(int code) {
    return switch (code) {
      case INSUFFICIENT_PRIVILEGES, VIRTUALIZED_INSUFFICIENT_PRIVILEGES ->
          "the machine lets administrators profile alone: NVreg_RestrictProfilingToAdminUsers=0 for"
              + " the kernel module nvidia, or CAP_SYS_ADMIN for the container";
      default -> "no other profiler (nsys, ncu) may be attached to this process";
    };
  }

  private synchronized void add(GpuActivity activity) {
    if (activity.endNs() > fromNs && activity.startNs() < toNs) {
      activities.add(activity);
    }
  }

  /** Begins what is reported. Work goes on. */
  public void begin() {
    // Not while a lock is held that CUPTI's threads wait for.
    long now = cupti.nowNs();
    synchronized (this) {
      activities.clear();
      fromNs = now;
    }
  }

  /** Ends what is reported. Work goes on. */
  public void cut() {
    long now = cupti.nowNs();
    synchronized (this) {
      toNs = now;
    }
  }

  /**
   * Waits for the GPUs and stops.
   *
   * @return what was done from {@link #begin} to {@link #cut}, or until now
   */
  public GpuRecording end() {
    for (Gpu gpu : gpus) {
      gpu.enter();
      gpu.synchronize();
    }
    long now = cupti.nowNs();
    started = false;
    long lost = cupti.stop();
    synchronized (this) {
      long end = Math.min(toNs, now);
      return new GpuRecording(
          activities.stream().filter(activity -> activity.startNs() < end).toList(),
          fromNs,
          end,
          lost);
    }
  }

  /** Stops, unless it has ended. */
  @Override
  public void close() {
    if (started) {
      started = false;
      cupti.stop();
    }
  }
}

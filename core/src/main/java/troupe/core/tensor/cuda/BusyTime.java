package troupe.core.tensor.cuda;

import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import troupe.core.tensor.cuda.driver.GpuActivity;

/**
 * How long a GPU was busy within a stretch of time: at least one of its streams had something to
 * do.
 *
 * @param spanNs the stretch, in nanoseconds
 * @param busyNs of it, in which anything ran
 * @param copiesNs of {@code busyNs}, in which copies ran and nothing else
 * @param idleBeforeNs idle time by the name of what ended it; that at the end is nobody's
 */
public record BusyTime(long spanNs, long busyNs, long copiesNs, Map<String, Long> idleBeforeNs) {
  /**
   * The union over all streams of one GPU.
   *
   * @param activities in any order; what lies outside of the stretch does not count
   * @param fromNs where the stretch begins
   * @param toNs where it ends
   */
  public static BusyTime of(List<GpuActivity> activities, long fromNs, long toNs) {
    Map<String, Long> idleBeforeNs = new TreeMap<>();
    long busyNs = union(activities, fromNs, toNs, idleBeforeNs);
    List<GpuActivity> work =
        activities.stream().filter(activity -> !activity.kind().isCopy()).toList();
    long workNs = union(work, fromNs, toNs, new TreeMap<>());
    return new BusyTime(toNs - fromNs, busyNs, busyNs - workNs, idleBeforeNs);
  }

  private static long union(
      List<GpuActivity> activities, long fromNs, long toNs, Map<String, Long> idleBeforeNs) {
    List<GpuActivity> inOrder =
        activities.stream()
            .filter(activity -> activity.endNs() > fromNs && activity.startNs() < toNs)
            .sorted(Comparator.comparingLong(GpuActivity::startNs))
            .toList();
    long busyNs = 0;
    long until = fromNs;
    for (GpuActivity activity : inOrder) {
      if (activity.startNs() > until) {
        idleBeforeNs.merge(activity.name(), activity.startNs() - until, Long::sum);
        until = activity.startNs();
      }
      long end = Math.min(activity.endNs(), toNs);
      if (end > until) {
        busyNs += end - until;
        until = end;
      }
    }
    return busyNs;
  }

  /** Nanoseconds in which nothing ran. */
  public long idleNs() {
    return spanNs - busyNs;
  }

  /** Share of the stretch in which nothing ran. */
  public double idle() {
    return spanNs == 0 ? 0 : (double) idleNs() / spanNs;
  }

  /** Share of the stretch in which nothing ran, or copies alone. */
  public double outsideKernels() {
    return spanNs == 0 ? 0 : (double) (idleNs() + copiesNs) / spanNs;
  }
}

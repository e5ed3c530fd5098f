package troupe.core.tensor.cuda;

import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import troupe.core.tensor.cuda.driver.GpuActivity;

/**
 * What the GPUs of this process did in a stretch of time.
 *
 * @param activities those that were under way in it, in no order
 * @param fromNs where it begins, by the clock of the activities
 * @param toNs where it ends
 * @param lost activities that are missing, for want of memory
 */
public record GpuRecording(List<GpuActivity> activities, long fromNs, long toNs, long lost) {
  /** Copies the list. */
  public GpuRecording {
    activities = List.copyOf(activities);
  }

  /**
   * Nanoseconds by name, summed over streams and GPUs, of what began in the stretch. Streams run
   * side by side, so the sum may be longer than the stretch.
   */
  public Map<String, Long> nanosByName() {
    Map<String, Long> nanos = new TreeMap<>();
    for (GpuActivity activity : activities) {
      if (activity.startNs() >= fromNs) {
        nanos.merge(activity.name(), activity.endNs() - activity.startNs(), Long::sum);
      }
    }
    return nanos;
  }

  /** How busy each GPU was, by its number; one that did nothing at all is not there. */
  public SortedMap<Integer, BusyTime> busyByGpu() {
    SortedMap<Integer, BusyTime> busy = new TreeMap<>();
    activities.stream()
        .collect(Collectors.groupingBy(GpuActivity::device))
        .forEach((gpu, own) -> busy.put(gpu, BusyTime.of(own, fromNs, toNs)));
    return busy;
  }
}

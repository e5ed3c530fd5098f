package troupe.coordinator.timeline;

import com.google.gson.stream.JsonWriter;
import java.io.IOException;
import java.io.Writer;
import java.math.BigDecimal;
import java.util.Comparator;
import java.util.List;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import troupe.core.tensor.cuda.CudaDevice;
import troupe.core.tensor.cuda.GpuRecording;
import troupe.core.tensor.cuda.driver.GpuActivity;

/**
 * Writes what GPUs did in the Trace Event Format, which Perfetto and chrome://tracing show: a
 * process a GPU, a thread a stream, times in microseconds.
 */
public final class ChromeTrace {
  private ChromeTrace() {}

  /**
   * Writes a JSON array, one event a line, in the order in which they began.
   *
   * @param zeroNs where times begin, by the clock of the recording
   */
  public static void write(GpuRecording recording, long zeroNs, Writer to) throws IOException {
    List<GpuActivity> inOrder =
        recording.activities().stream()
            .sorted(Comparator.comparingLong(GpuActivity::startNs))
            .toList();
    to.write("[\n");
    String separator = "";
    for (var gpu : streams(inOrder).entrySet()) {
      to.write(separator);
      name(to, "process_name", gpu.getKey(), 0, CudaDevice.NAME + ":" + gpu.getKey());
      separator = ",\n";
      for (int stream : gpu.getValue()) {
        to.write(separator);
        name(to, "thread_name", gpu.getKey(), stream, "stream " + stream);
      }
    }
    for (GpuActivity activity : inOrder) {
      to.write(separator);
      event(to, activity, zeroNs);
      separator = ",\n";
    }
    to.write("\n]\n");
  }

  private static SortedMap<Integer, SortedSet<Integer>> streams(List<GpuActivity> activities) {
    SortedMap<Integer, SortedSet<Integer>> streams = new TreeMap<>();
    for (GpuActivity activity : activities) {
      streams.computeIfAbsent(activity.device(), gpu -> new TreeSet<>()).add(activity.stream());
    }
    return streams;
  }

  private static void name(Writer to, String what, int gpu, int stream, String name)
      throws IOException {
    JsonWriter json = new JsonWriter(to);
    json.beginObject();
    json.name("name").value(what);
    json.name("ph").value("M");
    json.name("pid").value(gpu);
    json.name("tid").value(stream);
    json.name("args").beginObject().name("name").value(name).endObject();
    json.endObject();
    json.flush();
  }

  private static void event(Writer to, GpuActivity activity, long zeroNs) throws IOException {
    JsonWriter json = new JsonWriter(to);
    json.beginObject();
    json.name("name").value(KernelNames.shorten(activity.name()));
    json.name("cat").value(activity.kind().isCopy() ? "copy" : "kernel");
    json.name("ph").value("X");
    json.name("pid").value(activity.device());
    json.name("tid").value(activity.stream());
    json.name("ts").value(micros(activity.startNs() - zeroNs));
    json.name("dur").value(micros(activity.endNs() - activity.startNs()));
    if (activity.bytes() > 0) {
      json.name("args").beginObject().name("bytes").value(activity.bytes()).endObject();
    }
    json.endObject();
    json.flush();
  }

  /** Decimal, never with an exponent, which not all readers know. */
  private static BigDecimal micros(long ns) {
    return BigDecimal.valueOf(ns, 3);
  }
}

package troupe.coordinator.cli;

import com.google.gson.Gson;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;
import troupe.coordinator.bench.ControlTraffic;

/** {@code troupe bench control}: how control messages grow with a run. */
@Command(
    name = "control",
    description = {
      "Writes and reads the control messages of one step of runs with up to 4096 experts a layer,",
      "256 ranks and 256 hosts, and prints what the coordinator has to do."
    })
final class BenchControlCommand implements Callable<Integer> {
  private static final int[] EXPERTS = {8, 64, 512, 4_096};
  private static final int[] HOSTS = {4, 64, 256};
  private static final int LAYERS = 12;

  @Spec private CommandSpec spec;

  @Override
  public Integer call() {
    PrintWriter out = spec.commandLine().getOut();
    out.printf("One step, %d layers with experts, one rank a host%n%n", LAYERS);
    out.println(
        "experts a layer   hosts     sent  received   sent MB  received MB  largest KB    CPU ms");
    List<Map<String, Object>> rows = new ArrayList<>();
    for (int experts : EXPERTS) {
      for (int hosts : HOSTS) {
        ControlTraffic.Load load =
            ControlTraffic.measure(new ControlTraffic.Shape(experts, LAYERS, hosts, hosts));
        out.printf(
            "%15d %7d %8d %9d %9.3f %12.3f %11.1f %9.2f%n",
            experts,
            hosts,
            load.sent(),
            load.received(),
            load.sentBytes() / 1e6,
            load.receivedBytes() / 1e6,
            load.largestBytes() / 1e3,
            load.cpuMs());
        out.flush();
        rows.add(json(experts, hosts, load));
      }
    }
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("bench", "control");
    json.put("layers", LAYERS);
    json.put("rows", rows);
    out.println();
    out.println(new Gson().toJson(json));
    return ExitCode.DONE;
  }

  private static Map<String, Object> json(int experts, int hosts, ControlTraffic.Load load) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("experts", experts);
    json.put("hosts", hosts);
    json.put("sent", load.sent());
    json.put("received", load.received());
    json.put("sent_bytes", load.sentBytes());
    json.put("received_bytes", load.receivedBytes());
    json.put("largest_bytes", load.largestBytes());
    json.put("cpu_ms", Math.round(load.cpuMs() * 1e3) / 1e3);
    return json;
  }
}

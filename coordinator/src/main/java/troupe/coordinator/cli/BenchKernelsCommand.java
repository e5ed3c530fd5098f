package troupe.coordinator.cli;

import com.google.gson.Gson;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import troupe.coordinator.bench.KernelsBench;
import troupe.coordinator.bench.KernelsBench.Bound;
import troupe.coordinator.bench.KernelsBench.Ceilings;
import troupe.coordinator.bench.KernelsBench.Reached;
import troupe.core.tensor.Device;

/** {@code troupe bench kernels}: each kernel against what the device can do. */
@Command(
    name = "kernels",
    description = {
      "Measures two ceilings of a device, a large copy and a large product of square matrices, and",
      "then each kernel at the sizes of configs/h200-8e.conf against the one that binds it.",
      "",
      "GB/s counts the bytes that have to move: each input read once, each output written once. A",
      "kernel that reads twice shows as a lower rate; one whose data stay in a cache may be above",
      "the ceiling. Times are the device's own where it has a clock (a GPU), else those of calls.",
      "A host has one thread here; its products are 1024 wide."
    },
    footer = {
      "",
      "Examples:",
      "  troupe bench kernels",
      "  troupe bench kernels --device cpu --scale 64 --repeats 5"
    })
final class BenchKernelsCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Mixin private BenchDevice bench;

  @Option(
      names = "--scale",
      defaultValue = "1",
      paramLabel = "N",
      description = {
        "Divide tokens, and elements that are copied or updated, by this power",
        "of two (default: ${DEFAULT-VALUE}, which needs 8 GB; 64 suits a laptop)."
      })
  private int scale;

  @Override
  public Integer call() {
    PrintWriter out = spec.commandLine().getOut();
    Map<String, Object> json = new LinkedHashMap<>();
    try (Device device = bench.open();
        KernelsBench kernels = new KernelsBench(device, scale, bench.repeats())) {
      Ceilings ceilings = kernels.ceilings();
      out.printf(
          "%s, %d tokens%nceilings: copy %.1f GB/s, product of %d x %d matrices %.3f TFLOP/s%n",
          device.name(),
          kernels.tokens(),
          ceilings.copy() / 1e9,
          ceilings.productSize(),
          ceilings.productSize(),
          ceilings.product() / 1e12);
      json.put("bench", "kernels");
      json.put("device", device.name());
      json.put("scale", scale);
      json.put("tokens", kernels.tokens());
      json.put("copy_gb_per_s", BenchDevice.round(ceilings.copy() / 1e9));
      json.put("product_size", ceilings.productSize());
      json.put("product_tflop_per_s", BenchDevice.round(ceilings.product() / 1e12));
      Table memory = new Table(out, "GB/s", "copy", "gb_per_s", 1e9);
      kernels.measure(Bound.COPY, ceilings, memory::add);
      json.put("memory", memory.rows);
      Table compute = new Table(out, "TFLOP/s", "product", "tflop_per_s", 1e12);
      kernels.measure(Bound.PRODUCT, ceilings, compute::add);
      json.put("compute", compute.rows);
    }
    out.println();
    out.println(new Gson().toJson(json));
    return ExitCode.DONE;
  }

  /** Kernels that one ceiling binds, each printed once it is measured. */
  private static final class Table {
    private final PrintWriter out;
    private final String key;
    private final double one;
    private final List<Map<String, Object>> rows = new ArrayList<>();

    /**
     * Prints the head.
     *
     * @param one what the unit stands for
     */
    Table(PrintWriter out, String unit, String ceiling, String key, double one) {
      this.out = out;
      this.key = key;
      this.one = one;
      out.printf("%n%-26s %-22s %10s %10s   of %s%n", "kernel", "size", "ms", unit, ceiling);
    }

    void add(Reached kernel) {
      double rate = kernel.perSecond() / one;
      out.printf(
          "%-26s %-22s %10.4f %10.4f %7.1f %%%n",
          kernel.name(), kernel.size(), kernel.ms(), rate, 100 * kernel.share());
      out.flush();
      Map<String, Object> row = new LinkedHashMap<>();
      row.put("kernel", kernel.name());
      row.put("size", kernel.size());
      row.put("ms", BenchDevice.round(kernel.ms()));
      row.put(key, BenchDevice.round(rate));
      row.put("share", BenchDevice.round(kernel.share()));
      rows.add(row);
    }
  }
}

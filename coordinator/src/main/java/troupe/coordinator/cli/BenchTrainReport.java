package troupe.coordinator.cli;

import com.google.gson.Gson;
import java.io.PrintWriter;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import troupe.coordinator.bench.Median;
import troupe.coordinator.bench.StepProfile;
import troupe.coordinator.bench.TrainBench;
import troupe.coordinator.timeline.KernelNames;
import troupe.core.config.GateType;
import troupe.core.config.RunConfig;
import troupe.core.tensor.KernelProfiler;
import troupe.core.tensor.cuda.BusyTime;

/** What {@code troupe bench train} prints: where the time goes, how fast it is, a line of JSON. */
final class BenchTrainReport {
  private static final String FORCED = "forced balanced";

  /** How many kernels are named that the GPU waited for. */
  private static final int NAMED_GAPS = 3;

  private final PrintWriter out;
  private final RunConfig run;
  private final TrainBench.Result result;
  private final StepProfile profile;

  BenchTrainReport(PrintWriter out, RunConfig run, TrainBench.Result result) {
    this.out = out;
    this.run = run;
    this.result = result;
    this.profile = result.profile();
  }

  void print() {
    printProfile();
    boolean forced = run.gate().type() == GateType.BALANCED;
    printSpeed(forced ? FORCED : "real router", result.stepMs());
    if (result.balancedMs().length > 0) {
      printSpeed(FORCED, result.balancedMs());
    }
    result
        .deviceImbalance()
        .ifPresent(
            imbalance ->
                out.printf(
                    "layers wait for the device with most rows: %.3f times an even load%n",
                    imbalance));
    out.println();
    out.println(new Gson().toJson(json()));
  }

  private void printSpeed(String router, double[] stepMs) {
    double tokensPerSecond = result.tokensPerSecond(stepMs);
    out.printf(
        "%-16s %,12.0f tokens/s  %9.1f ms a step (median)  %,9.1f GFLOP/s in matrix products%n",
        router, tokensPerSecond, Median.of(stepMs), tokensPerSecond * result.flopsPerToken() / 1e9);
  }

  private void printProfile() {
    if (profile.clock() == StepProfile.Clock.EVENTS) {
      out.println("kernels were timed one by one, which keeps streams from running side by side:");
      result
          .notRecorded()
          .ifPresent(why -> out.printf("%s%nHINT: %s%n%n", why.getMessage(), why.hint()));
    }
    out.printf("%-30s %9s   share of %s%n", "kernel", "ms a step", whole());
    profile
        .kernelMs()
        .forEach(
            (kernel, ms) -> {
              if (!kernel.equals(KernelProfiler.IDLE)) {
                printShare(kernel, ms, profile.capacityMs(), "");
              }
            });
    if (profile.clock() == StepProfile.Clock.CUPTI) {
      profile.busyByGpu().forEach(this::printBusy);
      printCost();
    } else {
      double capacityMs = profile.capacityMs();
      printShare(
          "outside kernels",
          profile.outsideKernels() * capacityMs,
          capacityMs,
          "   gates, actors, transport, waiting");
      if (profile.clock() == StepProfile.Clock.EVENTS) {
        printShare(
            "  of which idle",
            profile.idle() * capacityMs,
            capacityMs,
            "   the device between two kernels");
      }
    }
    out.println();
  }

  private String whole() {
    return switch (profile.clock()) {
      case THREADS -> profile.width() + " threads";
      case EVENTS -> "the step";
      case CUPTI ->
          profile.width() == 1
              ? "the step; streams run side by side"
              : "the step of " + profile.width() + " GPUs; streams run side by side";
    };
  }

  /** Of a recording the share is exact, of the step as it was timed it may be off by a little. */
  private void printBusy(int gpu, BusyTime busy) {
    double stepMs = profile.stepMs();
    printShare(
        "cuda:" + gpu + " outside kernels",
        busy.outsideKernels() * stepMs,
        stepMs,
        "   copies alone, or nothing");
    String gaps =
        busy.idleBeforeNs().entrySet().stream()
            .sorted(Map.Entry.comparingByValue(Comparator.reverseOrder()))
            .limit(NAMED_GAPS)
            .map(
                gap ->
                    String.format(
                        Locale.ROOT,
                        "%.2f before %s",
                        stepMs * gap.getValue() / busy.spanNs(),
                        KernelNames.shorten(gap.getKey())))
            .collect(Collectors.joining(", "));
    printShare("  of which idle", busy.idle() * stepMs, stepMs, "   nothing ran: " + gaps);
  }

  private void printCost() {
    out.printf(
        "%-30s %9.2f   median of the profiled steps; %.2f of those that are not%n",
        "step", profile.stepMs(), result.medianMs());
    profile
        .recording()
        .filter(recording -> recording.lost() > 0)
        .ifPresent(
            recording ->
                out.printf(
                    "%d activities were lost: less idle than it says, and more in kernels%n",
                    recording.lost()));
  }

  private void printShare(String name, double ms, double ofMs, String remark) {
    out.printf("%-30s %9.2f   %5.1f %%%s%n", name, ms, 100 * ms / ofMs, remark);
  }

  private Map<String, Object> json() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("bench", "train");
    json.put("tokens_per_s", Math.round(result.tokensPerSecond()));
    json.put("step_ms", round(result.medianMs()));
    json.put("min_step_ms", round(Arrays.stream(result.stepMs()).min().orElseThrow()));
    if (result.balancedMs().length > 0) {
      double[] balancedMs = result.balancedMs();
      json.put("balanced_tokens_per_s", Math.round(result.tokensPerSecond(balancedMs)));
      json.put("balanced_step_ms", round(Median.of(balancedMs)));
      json.put("balanced_min_step_ms", round(Arrays.stream(balancedMs).min().orElseThrow()));
    }
    result.deviceImbalance().ifPresent(imbalance -> json.put("device_imbalance", round(imbalance)));
    json.put("gflop_per_s", round(result.tokensPerSecond() * result.flopsPerToken() / 1e9));
    json.put("tokens_per_step", result.tokensPerStep());
    json.put("threads", result.threads());
    json.put("device", run.device());
    json.put("gate", run.gate().type().toString());
    json.put("profiler", profile.clock().word());
    json.put("profiled_step_ms", round(profile.stepMs()));
    json.put("outside_kernels", round(profile.outsideKernels()));
    if (profile.clock() != StepProfile.Clock.THREADS) {
      json.put("idle", round(profile.idle()));
    }
    profile
        .recording()
        .ifPresent(
            recording -> {
              json.put("idle_by_gpu", byGpu(BusyTime::idle));
              json.put("outside_kernels_by_gpu", byGpu(BusyTime::outsideKernels));
              json.put("lost_activities", recording.lost());
            });
    json.put("kernel_ms", profile.kernelMs());
    return json;
  }

  private List<Double> byGpu(ToDoubleFunction<BusyTime> share) {
    return profile.busyByGpu().values().stream()
        .map(busy -> round(share.applyAsDouble(busy)))
        .toList();
  }

  private static double round(double value) {
    return Math.round(value * 1e3) / 1e3;
  }
}

package troupe.coordinator.cli;

import java.math.BigDecimal;
import java.math.MathContext;
import java.time.Duration;
import picocli.CommandLine.Option;
import troupe.coordinator.bench.Repeats;
import troupe.core.UserException;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;

/** The options of verbs that measure one device: which it is, and how often. */
final class BenchDevice {
  private static final MathContext DIGITS = new MathContext(4);

  @Option(
      names = "--device",
      defaultValue = "auto",
      paramLabel = "NAME",
      description = {
        "cpu, cuda, cuda:1, nd4j, reference; auto: a GPU where there is one,",
        "else cpu; as the key device of a run (default: ${DEFAULT-VALUE})."
      })
  private String name;

  @Option(
      names = "--cuda-lib",
      defaultValue = "",
      paramLabel = "FOLDERS",
      description = {
        "Folders with NVIDIA's libraries, separated by colons, before all others;",
        "as the key cuda.lib of a run."
      })
  private String cudaFolders;

  @Option(
      names = "--repeats",
      defaultValue = "20",
      paramLabel = "N",
      description = "How often to measure; the median counts (default: ${DEFAULT-VALUE}).")
  private int repeats;

  @Option(
      names = "--warmup",
      defaultValue = "5",
      paramLabel = "N",
      description = {
        "How often to do the same before (default: ${DEFAULT-VALUE}), and for 0.2 s at",
        "least, until clocks are up; 1 s where the host computes, until code",
        "is compiled; 0 = not at all."
      })
  private int warmUp;

  @Option(
      names = "--rest",
      defaultValue = "0",
      paramLabel = "SECONDS",
      description = {
        "How long the device has nothing to do before it is measured; 5 more",
        "repeats warm it up (default: ${DEFAULT-VALUE}). A large GPU is at its power limit",
        "within 0.2 s, and then slower: so it is in training. A program that",
        "compiles first starts on one that has rested."
      })
  private int rest;

  /** Opens it. */
  Device open() {
    atLeast("--repeats", repeats, 1);
    atLeast("--warmup", warmUp, 0);
    atLeast("--rest", rest, 0);
    return Devices.open(name, cudaFolders);
  }

  Repeats repeats() {
    return new Repeats(warmUp, Duration.ofSeconds(rest), repeats);
  }

  /** Requires {@code value >= least} of an option. */
  static void atLeast(String option, int value, int least) {
    if (value < least) {
      throw new UserException(
          option + ": " + value + " (expected: >= " + least + ")", "leave it out for the default");
    }
  }

  /** Four digits are more than repeat. */
  static double round(double value) {
    return new BigDecimal(value).round(DIGITS).doubleValue();
  }
}

package troupe.coordinator.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import troupe.core.tensor.cuda.CudaDevices;

/** Losses of a model that learns from text, on a GPU and on the CPU. */
@Tag("gpu")
final class CudaLossTest {
  private static final int STEPS = 200;
  private static final int MEAN_OF = 10;

  @TempDir private Path folder;

  @BeforeEach
  void needsAGpu() {
    assumeTrue(CudaDevices.mayBePresent(), "no NVIDIA GPU here");
  }

  /**
   * With Switch's gate. Of gates that sample, or choose several experts, curves are further apart
   * than a hundredth whatever is changed, a learning rate by a thousandth say
   * (docs/performance.md).
   */
  @Test
  void shouldLoseWithinAHundredthOfFloat32() throws IOException {
    List<Double> exact = means(losses("cpu"));
    List<Double> found = means(losses("cuda"));
    for (int mean = 0; mean < exact.size(); mean++) {
      assertEquals(exact.get(mean), found.get(mean), 0.01 * exact.get(mean), "mean " + mean);
    }
  }

  private List<Double> losses(String device) throws IOException {
    Path run = folder.resolve(device);
    StringWriter err = new StringWriter();
    int code =
        Troupe.commandLine(new PrintWriter(new StringWriter()), new PrintWriter(err))
            .execute(
                "train",
                Path.of("..", "configs", "quickstart.conf").toString(),
                "device=" + device,
                "gate.type=switch",
                "train.ranks=1",
                "train.steps=" + STEPS,
                "train.log_every=1",
                "evaluate.every=0",
                "checkpoint.every=0",
                "run.dir=" + run);
    assertEquals(0, code, err::toString);
    List<Double> losses =
        Files.readAllLines(run.resolve("metrics.jsonl")).stream()
            .map(line -> JsonParser.parseString(line).getAsJsonObject())
            .filter(line -> line.has("loss"))
            .map((JsonObject line) -> line.get("loss").getAsDouble())
            .toList();
    assertEquals(STEPS, losses.size());
    return losses;
  }

  /** Of ten steps each. */
  private static List<Double> means(List<Double> losses) {
    return IntStream.range(0, losses.size() / MEAN_OF)
        .mapToObj(
            mean ->
                losses.subList(mean * MEAN_OF, (mean + 1) * MEAN_OF).stream()
                    .mapToDouble(Double::doubleValue)
                    .average()
                    .orElseThrow())
        .toList();
  }
}

package troupe.coordinator.metrics;

import com.google.gson.stream.JsonWriter;
import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.math.MathContext;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What the charts of a report draw: curves and load maps of bounded size, however long the run was.
 */
final class ReportData {
  /** A screen is not wider than a few hundred distinguishable points. */
  private static final int MAX_CURVE_BUCKETS = 400;

  private static final int MAX_LOAD_BUCKETS = 120;

  /** Over all layers and experts: about 300 kB of the page, and what a browser redraws at once. */
  private static final int MAX_LOAD_CELLS = 60_000;

  /** The smoothed loss forgets half of what is this share of the run ago. */
  private static final double HALF_LIFE_SHARE = 0.005;

  private static final MathContext CURVE_DIGITS = new MathContext(6);
  private static final MathContext SHARE_DIGITS = new MathContext(3);

  private final StepBuckets loadBuckets;
  private final Map<String, Curve> curves = new LinkedHashMap<>();
  private final MovingAverage average;
  private final List<LoadMap> loads = new ArrayList<>();
  private final RunSummary summary;
  private double smoothLoss = Double.NaN;

  private ReportData(RunSummary summary) {
    this.summary = summary;
    StepBuckets buckets =
        StepBuckets.of(summary.firstStep(), summary.lastStep(), MAX_CURVE_BUCKETS);
    for (String name :
        List.of(
            "loss",
            "smooth",
            "validation",
            "lr",
            "grad_norm",
            "tokens_per_s",
            "balance",
            "z",
            "penalty",
            "dropped",
            "alive",
            "imbalance")) {
      curves.put(name, new Curve(buckets));
    }
    average = new MovingAverage(Math.max(1, HALF_LIFE_SHARE * summary.numSteps()));
    int experts = 0;
    for (int layer = 0; layer < summary.numLayers(); layer++) {
      experts += summary.numExperts(layer);
    }
    int most = Math.clamp(MAX_LOAD_CELLS / Math.max(1, experts), 1, MAX_LOAD_BUCKETS);
    loadBuckets = StepBuckets.of(summary.firstStep(), summary.lastStep(), most);
    for (int layer = 0; layer < summary.numLayers(); layer++) {
      loads.add(new LoadMap(loadBuckets, summary.numExperts(layer)));
    }
  }

  static ReportData of(Path metrics, RunSummary summary) throws IOException {
    ReportData data = new ReportData(summary);
    MetricsFile.read(
        metrics,
        line -> {
          switch (line) {
            case StepMetrics step -> data.add(step);
            case ValidationMetrics validation -> data.add(validation);
            case PlacementMetrics placement -> {} // No curve.
          }
        });
    return data;
  }

  private void add(StepMetrics step) {
    smoothLoss = average.add(step.ce());
    add("loss", step.step(), step.ce());
    add("smooth", step.step(), smoothLoss);
    add("lr", step.step(), step.lr());
    add("grad_norm", step.step(), step.gradNorm());
    add("tokens_per_s", step.step(), step.tokensPerS());
    add("balance", step.step(), step.balance());
    add("z", step.step(), step.z());
    add("penalty", step.step(), step.penalty());
    add("dropped", step.step(), 100 * step.dropped());
    add("alive", step.step(), 100 * step.alive());
    add("imbalance", step.step(), step.imbalance());
    for (int layer = 0; layer < Math.min(loads.size(), step.load_LE().length); layer++) {
      loads.get(layer).add(step.step(), step.load_LE()[layer]);
    }
  }

  /** Validation before the first step or after a step that was cut off has no place on the axis. */
  private void add(ValidationMetrics validation) {
    long step = Math.clamp(validation.step(), summary.firstStep(), summary.lastStep());
    add("validation", step, validation.valLoss());
  }

  private void add(String curve, long step, double value) {
    curves.get(curve).add(step, value);
  }

  /** The smoothed cross entropy after the last step. */
  double smoothLoss() {
    return smoothLoss;
  }

  /** Everything as JSON that is safe inside a script element. */
  String toJson(String lossUnit) {
    StringWriter text = new StringWriter();
    try (JsonWriter json = new JsonWriter(text)) {
      json.setHtmlSafe(true);
      json.beginObject();
      json.name("lossUnit").value(lossUnit);
      json.name("firstStep").value(summary.firstStep());
      json.name("lastStep").value(summary.lastStep());
      json.name("curves").beginObject();
      for (Map.Entry<String, Curve> curve : curves.entrySet()) {
        json.name(curve.getKey());
        write(json, curve.getValue());
      }
      json.endObject();
      json.name("load").beginObject();
      json.name("firstStep").value(loadBuckets.firstStep());
      json.name("width").value(loadBuckets.width());
      json.name("layers").beginArray();
      for (LoadMap load : loads) {
        write(json, load);
      }
      json.endArray().endObject().endObject();
    } catch (IOException e) {
      throw new UncheckedIOException("a StringWriter does not fail", e);
    }
    return text.toString();
  }

  /** Steps and values in two lists, which is a third shorter than pairs. */
  private static void write(JsonWriter json, Curve curve) throws IOException {
    List<Curve.Point> points = curve.points();
    json.beginObject().name("steps").beginArray();
    for (Curve.Point point : points) {
      json.value(point.step());
    }
    json.endArray().name("values").beginArray();
    for (Curve.Point point : points) {
      write(json, point.value(), CURVE_DIGITS);
    }
    json.endArray().endObject();
  }

  private static void write(JsonWriter json, LoadMap load) throws IOException {
    json.beginArray();
    for (int bucket = 0; bucket < load.numBuckets(); bucket++) {
      json.beginArray();
      for (int expert = 0; expert < load.numExperts(); expert++) {
        write(json, load.share(bucket, expert), SHARE_DIGITS);
      }
      json.endArray();
    }
    json.endArray();
  }

  private static void write(JsonWriter json, double value, MathContext digits) throws IOException {
    if (Double.isFinite(value)) {
      json.value(new BigDecimal(value).round(digits).stripTrailingZeros());
    } else {
      json.nullValue();
    }
  }
}

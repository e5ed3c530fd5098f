package troupe.coordinator.metrics;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import troupe.coordinator.files.AtomicFile;

/**
 * The page at the end of a run: loss curves, throughput, and how busy every expert was over time.
 * One file that needs no network: charts, data and style are inside, and a content policy forbids
 * loading anything else.
 */
public final class Report {
  /** The name of the page in the folder of a run. */
  public static final String FILE_NAME = "report.html";

  // The path in the jar holds the version of the root pom; the test of this class fails when they
  // part.
  private static final String ECHARTS = "/META-INF/resources/webjars/echarts/5.5.0/echarts.min.js";
  private static final Pattern PLACEHOLDER = Pattern.compile("\\{\\{(\\w+)}}");

  private Report() {}

  /**
   * Writes the page, replacing an earlier one at once.
   *
   * @param metrics the metrics of the run, as {@link MetricsLog} wrote them
   * @param facts what else to say
   * @param html the page
   * @throws IOException if the metrics cannot be read or the page cannot be written
   */
  public static void write(Path metrics, ReportFacts facts, Path html) throws IOException {
    RunSummary summary = RunSummary.of(metrics);
    ReportData data = ReportData.of(metrics, summary);
    Map<String, String> parts =
        Map.of(
            "title", escape(facts.title()),
            "subtitle", escape(subtitle(summary)),
            "tiles", tiles(summary, data, facts),
            "config", configTable(facts.config()),
            "data", data.toJson(facts.lossUnit()),
            "style", resource("report.css"),
            "script", resource("report.js"),
            "echarts", resource(ECHARTS));
    String page =
        PLACEHOLDER
            .matcher(resource("report.html"))
            .replaceAll(match -> Matcher.quoteReplacement(parts.get(match.group(1))));
    AtomicFile.write(html, page);
  }

  private static String subtitle(RunSummary summary) {
    if (summary.numSteps() == 0) {
      return "No step has been recorded yet.";
    }
    StringBuilder text = new StringBuilder();
    text.append(format("Steps %,d to %,d", summary.firstStep(), summary.lastStep()));
    if (summary.nonFiniteLosses() > 0) {
      text.append(
          format(
              "; losses that were not finite: %,d, the first in step %,d",
              summary.nonFiniteLosses(), summary.firstNonFiniteStep()));
    }
    if (summary.unreadable() > 0) {
      text.append(format("; torn lines left out: %,d", summary.unreadable()));
    }
    return text.toString();
  }

  private static String tiles(RunSummary summary, ReportData data, ReportFacts facts) {
    double tokens = (double) summary.numSteps() * facts.tokensPerStep();
    double seconds = summary.durationMs() / 1000;
    StringBuilder tiles = new StringBuilder();
    String best =
        Double.isNaN(summary.bestValLoss())
            ? "never measured"
            : format("best %.4f at step %,d", summary.bestValLoss(), summary.bestValStep());
    tile(tiles, "Validation loss", number(summary.lastValLoss()), facts.lossUnit(), best);
    tile(tiles, "Training loss", number(data.smoothLoss()), facts.lossUnit(), "smoothed");
    tile(tiles, "Tokens seen", compact(tokens), "", format("%,.0f", tokens));
    String perStep =
        summary.numSteps() == 0
            ? "no step yet"
            : format("%.1f ms a step", summary.durationMs() / summary.numSteps());
    tile(tiles, "Time in steps", duration(seconds), "", perStep);
    tile(tiles, "Throughput", compact(tokens / seconds), "tokens/s", "mean of the run");
    tile(tiles, "Parameters", compact(facts.parameters()), "", format("%,d", facts.parameters()));
    return tiles.toString();
  }

  private static void tile(
      StringBuilder tiles, String label, String value, String unit, String note) {
    tiles.append("<div class=\"tile\"><div class=\"label\">").append(escape(label));
    tiles.append("</div><div class=\"value\">").append(escape(value));
    tiles.append(" <span class=\"unit\">").append(escape(unit));
    tiles.append("</span></div><div class=\"note\">").append(escape(note)).append("</div></div>\n");
  }

  private static String configTable(Map<String, String> config) {
    StringBuilder rows = new StringBuilder();
    config.forEach(
        (key, value) ->
            rows.append("<tr><th scope=\"row\">")
                .append(escape(key))
                .append("</th><td>")
                .append(escape(value))
                .append("</td></tr>\n"));
    return rows.toString();
  }

  private static String number(double value) {
    return Double.isNaN(value) ? "none" : format("%.4f", value);
  }

  /** Three digits and a unit: 1.23 M. */
  private static String compact(double value) {
    if (!Double.isFinite(value)) {
      return "none";
    }
    String[] units = {"", " k", " M", " G", " T"};
    int unit = 0;
    double scaled = value;
    while (scaled >= 999.5 && unit < units.length - 1) {
      scaled /= 1000;
      unit++;
    }
    int decimals = unit == 0 || scaled >= 99.95 ? 0 : scaled >= 9.995 ? 1 : 2;
    return format("%." + decimals + "f", scaled) + units[unit];
  }

  private static String duration(double seconds) {
    long whole = Math.round(seconds);
    if (whole < 60) {
      return format("%.1f s", seconds);
    }
    return whole < 3600
        ? format("%d min %d s", whole / 60, whole % 60)
        : format("%d h %d min", whole / 3600, whole / 60 % 60);
  }

  private static String format(String pattern, Object... values) {
    return String.format(Locale.ROOT, pattern, values);
  }

  static String escape(String text) {
    return text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("\"", "&quot;")
        .replace("'", "&#39;");
  }

  private static String resource(String name) throws IOException {
    try (InputStream stream = Report.class.getResourceAsStream(name)) {
      if (stream == null) {
        throw new IllegalStateException(
            "resource: " + name + " is missing (expected: on the classpath)");
      }
      return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
    }
  }
}

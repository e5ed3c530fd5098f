package troupe.coordinator.metrics;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import troupe.coordinator.files.AtomicFile;

/**
 * The page at the end of a run: loss curves, throughput, and how busy every expert was over time.
 * One file that needs no network: charts, data and style are inside, and a content policy forbids
 * loading anything else.
 */
public final class Report {
  /** The name of the page in the folder of a run. */
  public static final String FILE_NAME = "report.html";

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
    String page =
        Page.of(
            Report.class,
            "report",
            "",
            Page.fill(Report.class, "report", Map.of()),
            Map.of(
                "title", Page.escape(facts.title()),
                "subtitle", Page.escape(subtitle(summary)),
                "tiles", tiles(summary, data, facts),
                "config", Page.configRows(facts.config()),
                "data", data.toJson(facts.lossUnit())));
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
    tiles.append(
        Page.tile("Validation loss", number(summary.lastValLoss()), facts.lossUnit(), best));
    tiles.append(
        Page.tile("Training loss", number(data.smoothLoss()), facts.lossUnit(), "smoothed"));
    tiles.append(Page.tile("Tokens seen", Page.compact(tokens), "", format("%,.0f", tokens)));
    String perStep =
        summary.numSteps() == 0
            ? "no step yet"
            : format("%.1f ms a step", summary.durationMs() / summary.numSteps());
    tiles.append(Page.tile("Time in steps", duration(seconds), "", perStep));
    tiles.append(
        Page.tile("Throughput", Page.compact(tokens / seconds), "tokens/s", "mean of the run"));
    tiles.append(
        Page.tile(
            "Parameters", Page.compact(facts.parameters()), "", format("%,d", facts.parameters())));
    return tiles.toString();
  }

  private static String number(double value) {
    return Double.isNaN(value) ? "none" : format("%.4f", value);
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
}

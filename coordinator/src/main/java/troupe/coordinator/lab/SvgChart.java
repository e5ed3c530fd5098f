package troupe.coordinator.lab;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.DoubleStream;
import java.util.stream.Stream;
import troupe.coordinator.metrics.Page;

/**
 * A chart as an SVG drawing, for documentation: the same colours as on the page of an experiment.
 */
final class SvgChart {
  private static final List<String> COLORS =
      List.of(
          "#2563c9", "#d9660a", "#1a8a5a", "#a3359f", "#b2182b", "#0e8a99", "#8a6d0b", "#5b4bc4",
          "#6b7280", "#c2417c", "#3f7d20", "#7a4a2b");
  private static final List<String> DASHES = List.of("", "7 4", "2 3");

  private static final int WIDTH = 860;
  private static final int LEFT = 70;
  private static final int TOP = 46;
  private static final int PLOT_WIDTH = 540;
  private static final int PLOT_HEIGHT = 320;
  private static final int ROW = 26;
  private static final int LEGEND_ROW = 19;

  private final Chart chart;
  private final List<String> names;
  private final StringBuilder svg = new StringBuilder();

  private SvgChart(Chart chart, List<String> names) {
    this.chart = chart;
    this.names = names;
  }

  /**
   * The drawing.
   *
   * @param names of all series of the experiment: colours go by their order
   */
  static String draw(Chart chart, List<String> names) {
    SvgChart drawing = new SvgChart(chart, names);
    return chart.dots() ? drawing.dots() : drawing.lines();
  }

  private String lines() {
    Scale x = Scale.of(chart.x(), chart.series().stream().map(Series::x), LEFT, LEFT + PLOT_WIDTH);
    Stream<double[]> values =
        chart.series().stream()
            .flatMap(s -> s.hasBand() ? Stream.of(s.y(), s.low(), s.high()) : Stream.of(s.y()));
    Scale y = Scale.of(chart.y(), values, TOP + PLOT_HEIGHT, TOP);
    int height = Math.max(TOP + PLOT_HEIGHT + 54, TOP + 20 + LEGEND_ROW * chart.series().size());
    open(height);
    verticalGrid(x, TOP, TOP + PLOT_HEIGHT);
    for (double tick : y.ticks()) {
      line(LEFT, y.at(tick), LEFT + PLOT_WIDTH, y.at(tick), "#e3e6eb", 1);
      text(LEFT - 8, y.at(tick) + 4, "end", "#667080", 12, label(tick));
    }
    text(
        LEFT + PLOT_WIDTH / 2.0, TOP + PLOT_HEIGHT + 42, "middle", "#667080", 12, chart.x().name());
    text(12, TOP - 8, "start", "#667080", 12, chart.y().name());
    for (Series series : chart.series()) {
      band(series, x, y);
    }
    int row = 0;
    for (Series series : chart.series()) {
      curve(series, x, y);
      double at = TOP + 10 + LEGEND_ROW * row++;
      svg.append(
          format(
              "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"2.5\"%s/>\n",
              LEFT + PLOT_WIDTH + 20, at, LEFT + PLOT_WIDTH + 44, at, color(series), dash(series)));
      text(LEFT + PLOT_WIDTH + 50, at + 4, "start", "#1c2128", 12, series.name());
    }
    return svg.append("</svg>\n").toString();
  }

  private String dots() {
    int left = 220;
    int bottom = TOP + ROW * chart.series().size();
    Scale x = Scale.of(chart.y(), chart.series().stream().map(Series::y), left + 10, WIDTH - 30);
    open(bottom + 54);
    verticalGrid(x, TOP, bottom);
    text((left + WIDTH) / 2.0, bottom + 42, "middle", "#667080", 12, chart.y().name());
    int row = 0;
    for (Series series : chart.series()) {
      double y = TOP + ROW * (row++ + 0.5);
      text(left - 6, y + 4, "end", "#1c2128", 12, series.name());
      for (double value : series.y()) {
        if (x.has(value)) {
          svg.append(
              format(
                  "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\" fill-opacity=\"0.55\"/>\n",
                  x.at(value), y, color(series)));
        }
      }
      double median = Statistics.median(series.y());
      if (x.has(median)) {
        line(x.at(median), y - 9, x.at(median), y + 9, "#1c2128", 2.5);
      }
    }
    return svg.append("</svg>\n").toString();
  }

  private void open(int height) {
    svg.append(
        format(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\""
                + " font-family=\"system-ui, 'Liberation Sans', sans-serif\">\n"
                + "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
            WIDTH, height, WIDTH, height));
    text(12, 20, "start", "#1c2128", 15, chart.title());
  }

  private void verticalGrid(Scale x, double top, double bottom) {
    for (double tick : x.ticks()) {
      line(x.at(tick), top, x.at(tick), bottom, "#eceef2", 1);
      text(x.at(tick), bottom + 18, "middle", "#667080", 12, label(tick));
    }
  }

  private void band(Series series, Scale x, Scale y) {
    if (!series.hasBand()) {
      return;
    }
    StringBuilder upper = new StringBuilder();
    List<String> lower = new ArrayList<>();
    for (int i = 0; i < series.x().length; i++) {
      if (y.has(series.low()[i]) && y.has(series.high()[i])) {
        double at = x.at(series.x()[i]);
        upper.append(format("%.1f,%.1f ", at, y.at(series.high()[i])));
        lower.add(format("%.1f,%.1f ", at, y.at(series.low()[i])));
      }
    }
    svg.append("<polygon points=\"").append(upper).append(String.join("", lower.reversed()));
    svg.append(format("\" fill=\"%s\" fill-opacity=\"0.13\"/>\n", color(series)));
  }

  /** Gaps where values are missing. */
  private void curve(Series series, Scale x, Scale y) {
    StringBuilder path = new StringBuilder();
    boolean down = false;
    boolean few = series.x().length <= 20;
    for (int i = 0; i < series.x().length; i++) {
      if (!y.has(series.y()[i]) || !x.has(series.x()[i])) {
        down = false;
        continue;
      }
      double atX = x.at(series.x()[i]);
      double atY = y.at(series.y()[i]);
      path.append(format("%s%.1f,%.1f", down ? "L" : "M", atX, atY));
      down = true;
      if (few) {
        svg.append(
            format(
                "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n",
                atX, atY, color(series)));
      }
    }
    svg.append(
        format(
            "<path d=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"1.8\"%s/>\n",
            path, color(series), dash(series)));
  }

  private void line(double x1, double y1, double x2, double y2, String color, double width) {
    svg.append(
        format(
            "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"%.1f\"/>\n",
            x1, y1, x2, y2, color, width));
  }

  private void text(double x, double y, String anchor, String color, int size, String text) {
    svg.append(
        format(
            "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"%s\" font-size=\"%d\">%s</text>\n",
            x, y, anchor, color, size, Page.escape(text)));
  }

  private String color(Series series) {
    return COLORS.get(Math.floorMod(names.indexOf(series.name()), COLORS.size()));
  }

  private String dash(Series series) {
    String dash = DASHES.get(Math.max(0, names.indexOf(series.name())) / COLORS.size() % 3);
    return dash.isEmpty() ? "" : " stroke-dasharray=\"" + dash + "\"";
  }

  private static String label(double tick) {
    double size = Math.abs(tick);
    return size != 0 && (size < 1e-3 || size >= 1e6)
        ? format("%.0e", tick)
        : format("%.6f", tick).replaceAll("\\.?0+$", "");
  }

  private static String format(String pattern, Object... values) {
    return String.format(Locale.ROOT, pattern, values);
  }

  /** From values to places. */
  private record Scale(double least, double most, boolean log, double from, double to) {
    static Scale of(Chart.Axis axis, Stream<double[]> values, double from, double to) {
      double[] shown =
          values
              .flatMapToDouble(Arrays::stream)
              .filter(v -> Double.isFinite(v) && (!axis.log() || v > 0))
              .toArray();
      double least = DoubleStream.of(shown).min().orElse(axis.log() ? 1 : 0);
      double most = DoubleStream.of(shown).max().orElse(1);
      if (!(most > least)) {
        least = axis.log() ? least / 2 : least - 0.5;
        most = axis.log() ? most * 2 : most + 0.5;
      }
      return new Scale(least, most, axis.log(), from, to);
    }

    boolean has(double value) {
      return Double.isFinite(value) && (!log || value > 0);
    }

    double at(double value) {
      double share =
          log ? Math.log(value / least) / Math.log(most / least) : (value - least) / (most - least);
      return from + share * (to - from);
    }

    List<Double> ticks() {
      return log ? logTicks() : linearTicks();
    }

    /** Powers of two between such, else powers of ten, with 2 and 5 between them if that is few. */
    private List<Double> logTicks() {
      boolean twos = isPowerOfTwo(least) && isPowerOfTwo(most);
      double[] digits = twos || most / least > 300 ? new double[] {1} : new double[] {1, 2, 5};
      double base = twos ? 2 : 10;
      List<Double> ticks = new ArrayList<>();
      int first = (int) Math.floor(Math.log(least) / Math.log(base));
      for (int n = first; Math.pow(base, n) <= most * (1 + 1e-9); n++) {
        for (double digit : digits) {
          double tick = digit * Math.pow(base, n);
          if (tick >= least * (1 - 1e-9) && tick <= most * (1 + 1e-9)) {
            ticks.add(tick);
          }
        }
      }
      return ticks;
    }

    private static boolean isPowerOfTwo(double value) {
      return value >= 1 && value == Math.rint(value) && Long.bitCount((long) value) == 1;
    }

    private List<Double> linearTicks() {
      double raw = (most - least) / 6;
      double power = Math.pow(10, Math.floor(Math.log10(raw)));
      double step =
          power * (raw / power < 1.5 ? 1 : raw / power < 3.5 ? 2 : raw / power < 7.5 ? 5 : 10);
      List<Double> ticks = new ArrayList<>();
      for (long n = (long) Math.ceil(least / step - 1e-9); n * step <= most + 1e-9 * step; n++) {
        ticks.add(n * step);
      }
      return ticks;
    }
  }
}

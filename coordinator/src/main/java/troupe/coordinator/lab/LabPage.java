package troupe.coordinator.lab;

import com.google.gson.stream.JsonWriter;
import java.io.IOException;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.math.MathContext;
import java.util.Map;
import troupe.coordinator.metrics.Page;

/** The page of an experiment: one file that needs no network. */
final class LabPage {
  private static final MathContext DIGITS = new MathContext(5);

  private LabPage() {}

  static String html(Findings findings) throws IOException {
    return Page.of(
        LabPage.class,
        "lab",
        "",
        sections(findings),
        Map.of(
            "title", Page.escape(findings.title()),
            "subtitle", Page.escape(findings.subtitle()),
            "tiles", tiles(findings),
            "config", Page.configRows(findings.config()),
            "data", data(findings)));
  }

  private static String tiles(Findings findings) {
    StringBuilder html = new StringBuilder();
    for (Findings.Tile tile : findings.tiles()) {
      html.append(Page.tile(tile.label(), tile.value(), "", tile.note()));
    }
    return html.toString();
  }

  private static String sections(Findings findings) {
    StringBuilder html = new StringBuilder();
    for (Findings.Section section : findings.sections()) {
      html.append("<section>\n  <h2>").append(Page.escape(section.heading())).append("</h2>\n");
      if (!section.note().isEmpty()) {
        html.append("  <p class=\"subtitle\">")
            .append(Page.escape(section.note()))
            .append("</p>\n");
      }
      if (section.table() != null) {
        html.append("  <div class=\"card scroll\">")
            .append(section.table().html())
            .append("</div>\n");
      }
      if (!section.charts().isEmpty()) {
        html.append("  <div class=\"grid\">\n");
        section.charts().forEach(chart -> append(html, chart));
        html.append("  </div>\n");
      }
      html.append("</section>\n");
    }
    return html.toString();
  }

  private static void append(StringBuilder html, Chart chart) {
    html.append("    <div class=\"card\"><h3>").append(Page.escape(chart.title()));
    html.append(" <small>").append(Page.escape(chart.note())).append("</small></h3>");
    html.append("<div id=\"").append(Page.escape(chart.id()));
    html.append("\" class=\"chart lab\"></div></div>\n");
  }

  /** All charts as JSON that is safe inside a script element. */
  private static String data(Findings findings) throws IOException {
    StringWriter text = new StringWriter();
    try (JsonWriter json = new JsonWriter(text)) {
      json.setHtmlSafe(true);
      json.beginArray();
      for (Findings.Section section : findings.sections()) {
        for (Chart chart : section.charts()) {
          write(json, chart);
        }
      }
      json.endArray();
    }
    return text.toString();
  }

  private static void write(JsonWriter json, Chart chart) throws IOException {
    json.beginObject();
    json.name("id").value(chart.id());
    json.name("dots").value(chart.dots());
    json.name("x").beginObject();
    json.name("name").value(chart.x().name()).name("log").value(chart.x().log()).endObject();
    json.name("y").beginObject();
    json.name("name").value(chart.y().name()).name("log").value(chart.y().log()).endObject();
    json.name("series").beginArray();
    for (Series series : chart.series()) {
      json.beginObject().name("name").value(series.name());
      write(json, "x", series.x());
      write(json, "y", series.y());
      if (series.hasBand()) {
        write(json, "low", series.low());
        write(json, "high", series.high());
      }
      json.endObject();
    }
    json.endArray().endObject();
  }

  private static void write(JsonWriter json, String name, double[] values) throws IOException {
    json.name(name).beginArray();
    for (double value : values) {
      if (Double.isFinite(value)) {
        json.value(new BigDecimal(value).round(DIGITS).stripTrailingZeros());
      } else {
        json.nullValue();
      }
    }
    json.endArray();
  }
}

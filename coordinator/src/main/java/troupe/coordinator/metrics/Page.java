package troupe.coordinator.metrics;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A page in one file that needs no network: charts, data and style are inside, and a content policy
 * forbids loading anything else.
 */
public final class Page {
  // The path in the jar holds the version of the root pom; the test of the report fails when they
  // part.
  private static final String ECHARTS = "/META-INF/resources/webjars/echarts/5.5.0/echarts.min.js";
  private static final Pattern PLACEHOLDER = Pattern.compile("\\{\\{(\\w+)}}");

  private Page() {}

  /**
   * A page of this program.
   *
   * @param owner whose package has the script {@code NAME.js}
   * @param kind what sort of page it is, beside the title; may be empty
   * @param sections between the tiles and the config, as HTML
   * @param parts {@code title}, {@code subtitle}, {@code tiles}, {@code config} and {@code data},
   *     already escaped as they have to be where they go
   */
  public static String of(
      Class<?> owner, String name, String kind, String sections, Map<String, String> parts)
      throws IOException {
    Map<String, String> all = new HashMap<>(parts);
    all.put("kind", kind.isEmpty() ? "" : " <small>" + kind + "</small>");
    all.put("sections", sections);
    all.put("style", resource(Page.class, "report.css"));
    all.put("charts", resource(Page.class, "charts.js"));
    all.put("echarts", resource(Page.class, ECHARTS));
    all.put("script", resource(owner, name + ".js"));
    return fill(Page.class, "page", all);
  }

  /**
   * Fills a template, which names its parts as <code>{{part}}</code>.
   *
   * @param owner whose package has it as {@code NAME.html}
   */
  public static String fill(Class<?> owner, String name, Map<String, String> parts)
      throws IOException {
    return PLACEHOLDER
        .matcher(resource(owner, name + ".html"))
        .replaceAll(match -> Matcher.quoteReplacement(parts.get(match.group(1))));
  }

  /** A number that stands out, with what it is and a note. */
  public static String tile(String label, String value, String unit, String note) {
    return "<div class=\"tile\"><div class=\"label\">"
        + escape(label)
        + "</div><div class=\"value\">"
        + escape(value)
        + " <span class=\"unit\">"
        + escape(unit)
        + "</span></div><div class=\"note\">"
        + escape(note)
        + "</div></div>\n";
  }

  /** Keys and values as the rows of a table, in their order. */
  public static String configRows(Map<String, String> config) {
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

  /** Three digits and a unit: 1.23 M. */
  public static String compact(double value) {
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
    return String.format(Locale.ROOT, "%." + decimals + "f", scaled) + units[unit];
  }

  /** Text as it may stand anywhere in a page. */
  public static String escape(String text) {
    return text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("\"", "&quot;")
        .replace("'", "&#39;");
  }

  private static String resource(Class<?> owner, String name) throws IOException {
    try (InputStream stream = owner.getResourceAsStream(name)) {
      if (stream == null) {
        throw new IllegalStateException(
            "resource: " + name + " is missing (expected: on the classpath)");
      }
      return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
    }
  }
}

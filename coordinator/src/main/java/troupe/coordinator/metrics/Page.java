package troupe.coordinator.metrics;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A page that needs no network: a template whose {@code {{name}}} are filled with markup, data,
 * style and charts. What is filled in is not looked at again, so data may hold braces.
 */
public final class Page {
  /** Apache ECharts, in the jar of its version in the root pom. */
  public static final String ECHARTS = "/META-INF/resources/webjars/echarts/5.5.0/echarts.min.js";

  /** The style that all pages share. */
  public static final String STYLE = "/troupe/coordinator/metrics/report.css";

  private static final Pattern PLACEHOLDER = Pattern.compile("\\{\\{(\\w+)}}");

  private Page() {}

  /** The template with every placeholder filled. */
  public static String fill(String template, Map<String, String> parts) {
    return PLACEHOLDER
        .matcher(template)
        .replaceAll(match -> Matcher.quoteReplacement(part(parts, match.group(1))));
  }

  private static String part(Map<String, String> parts, String name) {
    String part = parts.get(name);
    if (part == null) {
      throw new IllegalArgumentException("page: nothing for {{" + name + "}}");
    }
    return part;
  }

  /** Text as it stands in markup and in attributes. */
  public static String escape(String text) {
    return text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("\"", "&quot;")
        .replace("'", "&#39;");
  }

  /** A resource by its absolute name. */
  public static String resource(String name) throws IOException {
    try (InputStream stream = Page.class.getResourceAsStream(name)) {
      if (stream == null) {
        throw new IllegalStateException(
            "resource: " + name + " is missing (expected: on the classpath)");
      }
      return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
    }
  }
}

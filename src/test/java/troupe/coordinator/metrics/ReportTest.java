package troupe.coordinator.metrics;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReportTest {
  private static final Pattern LOADS =
      Pattern.compile(
          "(?i)<(?!html|head|title|body)[a-z]+[^>]*\\b(src|href|srcset|data|action)\\s*=");
  private static final Pattern DATA =
      Pattern.compile("<script id=\"data\" type=\"application/json\">(.*?)</script>");

  @TempDir private Path folder;

  @Test
  void shouldHoldTheCurvesAndTheLoad() throws IOException {
    Path metrics = metrics(3);
    JsonObject data = data(report(metrics, facts("run")));
    assertEquals("nats/byte", data.get("lossUnit").getAsString());
    JsonObject curves = data.getAsJsonObject("curves");
    assertEquals("[1,2,3]", curves.getAsJsonObject("loss").get("steps").toString());
    assertEquals("[1,0.5,0.333333]", curves.getAsJsonObject("loss").get("values").toString());
    assertEquals("[5,5,5]", curves.getAsJsonObject("dropped").get("values").toString());
    assertEquals("[2.5]", curves.getAsJsonObject("validation").get("values").toString());
    JsonArray layers = data.getAsJsonObject("load").getAsJsonArray("layers");
    assertEquals("[[0.5,1,1.5],[0.5,1,1.5],[0.5,1,1.5]]", layers.get(0).toString());
    assertEquals(2, layers.size());
  }

  @Test
  void shouldNeedNoNetwork() throws IOException {
    String page = report(metrics(3), facts("run"));
    Matcher loads = LOADS.matcher(withoutScripts(page));
    assertFalse(loads.find(), () -> loads.group());
    String style = page.substring(page.indexOf("<style>"), page.indexOf("</style>"));
    assertFalse(style.contains("url("), "the style loads something");
    assertFalse(style.contains("@import"), "the style loads something");
    assertTrue(page.contains("default-src 'none'"), "the page may load anything");
    assertTrue(page.contains("echarts"), "the charts are missing");
    assertEquals(3, page.split("<script\\b").length - 1);
  }

  @Test
  void shouldEscapeEverythingFromOutside() throws IOException {
    String attack = "</title></script><script>alert('x')</script>&\"{{data}}$1\\";
    ReportFacts facts = new ReportFacts(attack, 1, 1, attack, Map.of(attack, attack));
    String page = report(metrics(3), facts);
    assertFalse(page.contains("<script>alert"), "markup got in");
    assertEquals(3, page.split("<script\\b").length - 1);
    assertEquals(3, page.split("</script>", -1).length - 1);
    assertEquals(attack, data(page).get("lossUnit").getAsString());
    assertTrue(
        page.contains(
            "<h1>&lt;/title&gt;&lt;/script&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"
                + "&amp;&quot;{{data}}$1\\</h1>"));
  }

  @Test
  void shouldShowConfigurationAndFacts() throws IOException {
    ReportFacts facts =
        new ReportFacts(
            "run", 5_642_240, 2048, "nats/byte", Map.of("a", "1.5", "b.c", "[1,\"x\"]"));
    String page = report(metrics(3), facts);
    assertTrue(page.contains("<th scope=\"row\">a</th><td>1.5</td>"));
    assertTrue(page.contains("<th scope=\"row\">b.c</th><td>[1,&quot;x&quot;]</td>"));
    assertTrue(page.contains("5.64 M"));
    assertTrue(page.contains("6,144"), "tokens seen: 3 x 2048");
    assertTrue(page.contains("best 2.5000 at step 3"));
  }

  @Test
  void shouldLeaveGapsWhereNumbersAreNotFinite() throws IOException {
    Path metrics = folder.resolve("metrics.jsonl");
    try (MetricsLog log = MetricsLog.create(metrics)) {
      log.append(MetricsLogTest.step(1, 2));
      log.append(MetricsLogTest.step(2, Double.NaN));
      log.append(MetricsLogTest.step(3, Double.POSITIVE_INFINITY));
      log.append(MetricsLogTest.step(4, 1));
      log.append(new ValidationMetrics(4, Double.NaN));
    }
    String page = report(metrics, facts("run"));
    JsonObject curves = data(page).getAsJsonObject("curves");
    assertEquals("[2,null,null,1]", curves.getAsJsonObject("loss").get("values").toString());
    assertFalse(curves.getAsJsonObject("smooth").get("values").toString().contains("null"));
    assertTrue(page.contains("losses that were not finite: 2, the first in step 2"));
    assertFalse(withoutScripts(page).contains("NaN"));
  }

  @Test
  void shouldSayNothingHappenedWhenNothingDid() throws IOException {
    Path metrics = Files.createFile(folder.resolve("metrics.jsonl"));
    String page = report(metrics, facts("run"));
    assertTrue(page.contains("No step has been recorded yet."));
    assertFalse(withoutScripts(page).contains("NaN"));
  }

  @Test
  void shouldStaySmallAndKeepSpikesWhenTheRunIsLong() throws IOException {
    Path metrics = folder.resolve("metrics.jsonl");
    int steps = 20_000;
    int spike = 12_345;
    StringBuilder lines = new StringBuilder();
    for (int n = 1; n <= steps; n++) {
      lines
          .append(MetricsJson.toLine(MetricsLogTest.step(n, n == spike ? 99 : 2 + n % 7)))
          .append('\n');
    }
    Files.writeString(metrics, lines);
    JsonObject data = data(report(metrics, facts("run")));
    JsonObject loss = data.getAsJsonObject("curves").getAsJsonObject("loss");
    JsonArray lossSteps = loss.getAsJsonArray("steps");
    assertTrue(lossSteps.size() <= 800, lossSteps.size() + " points");
    int at =
        loss.getAsJsonArray("values").asList().stream()
            .map(Object::toString)
            .toList()
            .indexOf("99");
    assertEquals(spike, lossSteps.get(at).getAsLong());
    JsonObject load = data.getAsJsonObject("load");
    int buckets = load.getAsJsonArray("layers").get(0).getAsJsonArray().size();
    assertTrue(buckets > 60 && buckets <= 120, buckets + " buckets");
    assertEquals(Math.ceilDiv(steps, load.get("width").getAsInt()), buckets);
    assertTrue(data.toString().length() < 200_000, data.toString().length() + " characters");
  }

  private Path metrics(int steps) throws IOException {
    Path metrics = folder.resolve("metrics.jsonl");
    try (MetricsLog log = MetricsLog.create(metrics)) {
      for (int n = 1; n <= steps; n++) {
        log.append(MetricsLogTest.step(n, 1.0 / n));
      }
      log.append(new ValidationMetrics(steps, 2.5));
    }
    return metrics;
  }

  private static ReportFacts facts(String title) {
    return new ReportFacts(title, 1000, 2048, "nats/byte", Map.of());
  }

  private String report(Path metrics, ReportFacts facts) throws IOException {
    Path html = folder.resolve(Report.FILE_NAME);
    Report.write(metrics, facts, html);
    return Files.readString(html);
  }

  private static JsonObject data(String page) {
    Matcher data = DATA.matcher(page);
    assertTrue(data.find(), "the page holds no data");
    return JsonParser.parseString(data.group(1)).getAsJsonObject();
  }

  private static String withoutScripts(String page) {
    return page.replaceAll("(?s)(<script\\b[^>]*>).*?</script>", "$1</script>");
  }
}

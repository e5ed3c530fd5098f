package troupe.coordinator.lab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonParser;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;

/** What experiments leave in their folders. */
class FindingsFilesTest {
  private static final Pattern LOADS =
      Pattern.compile("(?i)<(?!html|head|title|body)[a-z]+[^>]*\\b(src|href|srcset|data)\\s*=");
  private static final Pattern DATA =
      Pattern.compile(
          "<script id=\"data\" type=\"application/json\">(.*?)</script>", Pattern.DOTALL);

  @TempDir private Path folder;

  private static RunConfig config(String... overrides) {
    return ConfigLoader.parse("", List.of(overrides));
  }

  private String read(String name) throws IOException {
    return Files.readString(folder.resolve(name));
  }

  /** Page, numbers, tables and drawings, and nothing that a browser would have to fetch. */
  private JsonArray assertWhole(int charts) throws Exception {
    String page = read(FindingsFiles.PAGE);
    Matcher loads = LOADS.matcher(page.replaceAll("(?s)<script.*?</script>", ""));
    assertFalse(loads.find(), () -> loads.group());
    assertTrue(page.contains("default-src 'none'"));
    assertFalse(page.contains("{{title}}"));
    Matcher data = DATA.matcher(page);
    assertTrue(data.find(), "no data");
    JsonArray json = JsonParser.parseString(data.group(1)).getAsJsonArray();
    assertEquals(charts, json.size());
    String markdown = read(FindingsFiles.MARKDOWN);
    for (int i = 0; i < charts; i++) {
      String id = json.get(i).getAsJsonObject().get("id").getAsString();
      assertTrue(markdown.contains("](" + id + ".svg)"), id);
      DocumentBuilderFactory.newInstance()
          .newDocumentBuilder()
          .parse(new ByteArrayInputStream(read(id + ".svg").getBytes(StandardCharsets.UTF_8)));
      assertFalse(read(id + ".svg").contains("NaN"), id);
    }
    assertFalse(read(FindingsFiles.JSON).contains("NaN"));
    return json;
  }

  @Test
  void shouldShowEstimators() throws Exception {
    RunConfig config =
        config(
            "lab.seeds=1",
            "lab.estimators.gates=[switch, sparsemixer]",
            "lab.estimators.experts=[2, 4]",
            "lab.estimators.jitters=[0, 0.1]",
            "lab.estimators.base_experts=4",
            "lab.estimators.tokens=4",
            "lab.estimators.samples=5");
    List<String> out = new ArrayList<>();
    FindingsFiles.write(
        EstimatorFindings.of(config, new EstimatorLab(config, out::add).run(), Map.of("a", "b")),
        folder);
    JsonArray charts = assertWhole(4 * 6 + 2);
    assertEquals(
        "[2,4]",
        charts
            .get(0)
            .getAsJsonObject()
            .getAsJsonArray("series")
            .get(0)
            .getAsJsonObject()
            .get("x")
            .toString());
    assertTrue(read(FindingsFiles.MARKDOWN).contains("| sparsemixer | 1.00 |"));
    assertTrue(read(FindingsFiles.PAGE).contains("<th scope=\"row\">a</th><td>b</td>"));
    assertTrue(out.contains("measured   24 of 24"), out.toString());
  }

  @Test
  void shouldShowTheToy() throws Exception {
    RunConfig config =
        config(
            "lab.kind=toy",
            "lab.seeds=3",
            "lab.toy.steps=400",
            "lab.arms=[switch, \"<b>sparsemixer</b>: gate.type=sparsemixer gate.mask=none\"]");
    Map<ClusterTask.Sizes, ToyLab.Result> results = ToyLab.run(config, line -> {});
    FindingsFiles.write(ToyFindings.of(config, results, Map.of()), folder);
    assertWhole(4);
    assertFalse(read(FindingsFiles.PAGE).contains("<b>sparsemixer"));
    for (ToyLab.Result result : results.values()) {
      for (ToyLab.Method method : result.methods()) {
        for (ToyLab.Run run : method.runs()) {
          assertTrue(run.loss() < 0.7 * run.curve()[0], method.name() + ": " + run.loss());
        }
      }
    }
    // The same again: nothing depends on threads.
    Map<ClusterTask.Sizes, ToyLab.Result> again = ToyLab.run(config, line -> {});
    results.forEach((sizes, result) -> assertEquals(result.json(), again.get(sizes).json()));
  }

  @Test
  void shouldShowAnAblation() throws Exception {
    RunConfig config = Examples.ablation("lab.seeds=2");
    List<String> out = new ArrayList<>();
    AblationLab.Result result =
        AblationLab.run(
            config,
            folder,
            trial ->
                Examples.result(
                    trial, trial.arm().name().equals("switch") ? 2 : 1.5, 5, 4, 3, 2.5, 2.2, 2),
            Map.of(),
            out::add);
    FindingsFiles.write(result.findings(), folder);
    assertEquals(List.of(), result.failures());
    assertWhole(4);
    String table = read(FindingsFiles.MARKDOWN);
    assertTrue(
        table.contains("| switch | 8 | 2 | 3.1167 +- 0.0000 | 2.0000 +- 0.0000 | - |"), table);
    assertTrue(table.contains("| 1.5000 +- 0.0000 | -0.5000 +- 0.0000 |"), table);
  }

  @Test
  void shouldWriteTablesForAllReaders() {
    Table table = new Table(List.of("a", "b"), List.of(List.of("x|y", "1"), List.of("z", "22")));
    assertEquals("a     b\nx|y   1\nz    22\n", table.text());
    assertEquals("| a | b |\n|---|--:|\n| x\\|y | 1 |\n| z | 22 |\n", table.markdown());
  }
}

package troupe.coordinator.lab;

import com.google.gson.GsonBuilder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import troupe.coordinator.files.AtomicFile;
import troupe.core.UserException;

/**
 * What an experiment leaves in its folder: {@code report.html}; {@code results.json}; {@code
 * results.md}, its tables as Markdown; and each chart as {@code NAME.svg}, to which that refers.
 */
final class FindingsFiles {
  static final String PAGE = "report.html";
  static final String JSON = "results.json";
  static final String MARKDOWN = "results.md";

  private FindingsFiles() {}

  static void write(Findings findings, Path folder) {
    try {
      Files.createDirectories(folder);
      AtomicFile.write(folder.resolve(PAGE), LabPage.html(findings));
      AtomicFile.write(
          folder.resolve(JSON),
          new GsonBuilder().serializeNulls().setPrettyPrinting().create().toJson(findings.json())
              + "\n");
      AtomicFile.write(folder.resolve(MARKDOWN), markdown(findings));
      List<String> names = names(findings);
      for (Findings.Section section : findings.sections()) {
        for (Chart chart : section.charts()) {
          AtomicFile.write(folder.resolve(chart.id() + ".svg"), SvgChart.draw(chart, names));
        }
      }
    } catch (IOException e) {
      throw new UserException(
          folder + " cannot be written: " + e, "free space, or set run.dir to another disk", e);
    }
  }

  /** All series in the order in which the page gives them colours. */
  private static List<String> names(Findings findings) {
    return findings.sections().stream()
        .flatMap(section -> section.charts().stream())
        .flatMap(chart -> chart.series().stream())
        .map(Series::name)
        .distinct()
        .toList();
  }

  static String markdown(Findings findings) {
    StringBuilder text = new StringBuilder();
    text.append(findings.subtitle()).append("\n\n");
    for (Findings.Section section : findings.sections()) {
      text.append("### ").append(section.heading()).append("\n\n");
      if (!section.note().isEmpty()) {
        text.append(section.note()).append("\n\n");
      }
      if (section.table() != null) {
        text.append(section.table().markdown()).append('\n');
      }
      for (Chart chart : section.charts()) {
        text.append("![").append(chart.title()).append("](").append(chart.id()).append(".svg)\n\n");
      }
    }
    return text.toString();
  }
}

package troupe.coordinator.doctor;

import com.google.gson.GsonBuilder;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Everything found out, for people and for machines. */
public record Diagnosis(List<Section> sections) {
  private static final int WIDTH = 22;

  public Diagnosis {
    sections = List.copyOf(sections);
  }

  /**
   * Looks at this machine; takes about a second, and one or two more for each GPU, whose kernels
   * are compiled the first time.
   *
   * @param cudaFolders where to look for NVIDIA's libraries first; may be empty
   */
  public static Diagnosis ofThisMachine(String cudaFolders) {
    return new Diagnosis(
        List.of(
            JavaExam.run(),
            CpuExam.run(),
            MemoryExam.run(),
            NetworkExam.run(),
            GpuExam.run(cudaFolders)));
  }

  /** Aligned lines under a heading for each section, advice last. */
  public String text() {
    StringBuilder text = new StringBuilder();
    for (Section section : sections) {
      text.append(section.name()).append('\n');
      for (Fact fact : section.facts()) {
        String label = fact.label();
        text.append("  ").append(label).append(" ".repeat(Math.max(1, WIDTH - label.length())));
        text.append(fact.text()).append('\n');
      }
    }
    List<String> advice = advice();
    text.append(advice.isEmpty() ? "nothing is missing\n" : "advice\n");
    advice.forEach(line -> text.append("  ").append(line).append('\n'));
    return text.toString();
  }

  /** One JSON object: each section by name, and {@code advice}, a list of strings. */
  public String json() {
    Map<String, Object> root = new LinkedHashMap<>();
    for (Section section : sections) {
      Map<String, Object> facts = new LinkedHashMap<>();
      section.facts().forEach(fact -> facts.put(fact.name(), fact.value()));
      root.put(section.name(), facts);
    }
    root.put("advice", advice());
    return new GsonBuilder().setPrettyPrinting().disableHtmlEscaping().create().toJson(root);
  }

  private List<String> advice() {
    return sections.stream().flatMap(section -> section.advice().stream()).toList();
  }
}

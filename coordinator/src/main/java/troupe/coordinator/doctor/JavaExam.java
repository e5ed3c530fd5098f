package troupe.coordinator.doctor;

import java.util.ArrayList;
import java.util.List;

/** The JVM that runs this. */
final class JavaExam {
  private static final int REQUIRED_RELEASE = 25;

  private JavaExam() {}

  static Section run() {
    List<String> advice = new ArrayList<>();
    int release = Runtime.version().feature();
    if (release < REQUIRED_RELEASE) {
      advice.add("java: " + release + " (expected: >= 25); install Temurin 25 or set JAVA_HOME");
    }
    return new Section(
        "java",
        List.of(
            Fact.of("version", Runtime.version().toString()),
            Fact.of("vendor", System.getProperty("java.vendor")),
            Fact.of("home", System.getProperty("java.home")),
            Fact.bytes("heap_limit", Runtime.getRuntime().maxMemory()),
            Fact.of("system", System.getProperty("os.name") + " " + System.getProperty("os.arch"))),
        advice);
  }
}

package troupe;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

class JvmOptionsTest {
  @Test
  void shouldTestUnderTheFlagsThatRunsHave() throws IOException {
    List<String> flags = ManagementFactory.getRuntimeMXBean().getInputArguments();
    List<String> missing =
        Files.readAllLines(Path.of("..", "scripts", "jvm.options")).stream()
            .filter(line -> line.startsWith("--"))
            .filter(flag -> !flags.contains(flag))
            .toList();
    assertTrue(missing.isEmpty(), "troupe.jvm.flags in pom.xml lacks " + missing);
  }
}

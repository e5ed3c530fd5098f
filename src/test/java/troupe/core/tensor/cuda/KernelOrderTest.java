package troupe.core.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Kernels are placed while those before them end: one that does not wait reads what is not there.
 */
class KernelOrderTest {
  private static final Pattern KERNEL =
      Pattern.compile("extern \"C\" __global__[^{;]*?(\\w+)\\([^{;]*\\)\\s*\\{\\s*(\\S*)");

  private static final Pattern GROUPED = Pattern.compile("GROUPED\\((\\w+)\\)\\s*\\{\\s*(\\S*)");

  private static final Pattern MACRO = Pattern.compile("#define GROUPED.*\\\\\n.*");

  static Iterable<String> files() {
    return KernelSources.FILES;
  }

  @ParameterizedTest
  @MethodSource("files")
  void shouldBeginWithTheWait(String file) {
    String source = MACRO.matcher(KernelSources.source(file)).replaceAll("");
    int kernels = 0;
    for (Matcher kernel = KERNEL.matcher(source); kernel.find(); kernels++) {
      assertTrue(kernel.group(2).startsWith("after_previous();"), kernel.group(1));
    }
    for (Matcher kernel = GROUPED.matcher(source); kernel.find(); kernels++) {
      assertTrue(kernel.group(2).startsWith("grouped<"), kernel.group(1));
    }
    long declared = source.split("__global__|GROUPED\\(", -1).length - 1;
    assertEquals(declared, kernels);
  }

  @Test
  void shouldWaitBeforeProductsOfMany() {
    String source = KernelSources.source("products");
    String body = source.substring(source.indexOf("void grouped("));
    int wait = body.indexOf("\n  after_previous();");
    assertTrue(wait > 0 && wait < body.indexOf("bring_all"));
    assertTrue(body.indexOf("if (many) after_previous();") < body.indexOf("pairs_of("));
  }
}

package troupe.core.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.abort;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.core.UserException;
import troupe.core.tensor.cuda.driver.CudaLibraries;
import troupe.core.tensor.cuda.driver.Nvrtc;

/** With whatever NVRTC is here; {@code -Dcuda.lib=FOLDERS} says which. */
@Tag("gpu") // It needs no GPU, but what comes with one.
@Tag("slow") // Half a minute: nothing is taken from the cache.
class KernelSourcesTest {
  private Nvrtc compiler;

  @BeforeEach
  void load() {
    try {
      compiler = new CudaLibraries(System.getProperty("cuda.lib", "")).compiler();
    } catch (UserException e) {
      abort(e.getMessage());
    }
  }

  private List<Nvrtc.Compiled> compile(int capability) {
    return KernelSources.FILES.parallelStream()
        .map(
            file ->
                compiler.compile(
                    file, KernelSources.source(file), KernelSources.options(capability)))
        .toList();
  }

  @ParameterizedTest
  @ValueSource(ints = {80, 90, 100, 120})
  void shouldCompileWithoutRemarks(int capability) {
    assumeFalse(
        capability >= 100 && compiler.version().matches("12\\.[0-7]"),
        "NVRTC " + compiler.version() + " does not know capability " + capability);
    for (Nvrtc.Compiled compiled : compile(capability)) {
      // A compiler tells in this way that it has wgmma wait where it need not.
      assertEquals("", compiled.messages());
      assertTrue(compiled.code().length > 0);
    }
  }

  @Test
  void shouldHaveGroupedProductsForHopper() {
    String source = KernelSources.source("products");
    byte[] code = compiler.compile("products", source, KernelSources.options(90)).code();
    assertTrue(new String(code, StandardCharsets.ISO_8859_1).contains("grouped_nn_gelu"));
  }
}

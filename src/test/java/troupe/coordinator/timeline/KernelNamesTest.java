package troupe.coordinator.timeline;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class KernelNamesTest {
  @ParameterizedTest
  @CsvSource({
    "adamw, adamw",
    "copy to host, copy to host",
    "nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_NTN, nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_NTN",
    "cutlass::Kernel2<cutlass_80_tensorop_bf16_s16816gemm>, cutlass::Kernel2",
    "_ZN7cutlass7Kernel2I66cutlass_80_tensorop_bf16EEvNT_6ParamsE, cutlass::Kernel2",
    "_Z4gemmIfEvPT_, gemm",
    "_ZN99short, _ZN99short",
    "_Z99999999999x, _Z99999999999x",
    "_Z, _Z",
    "a123456789b123456789c123456789d123456789e123456789f123456789g,"
        + " a123456789b123456789c123456789d123456789e123456789f123456789"
  })
  void shouldKeepWhatPeopleRead(String name, String expected) {
    assertEquals(expected, KernelNames.shorten(name));
  }
}

package troupe.core.tensor.probe;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.junit.jupiter.api.Test;
import troupe.core.tensor.cuda.driver.CudaException;
import troupe.core.tensor.cuda.driver.FakeCuda;

/** What measuring leaves behind; without a GPU. */
class CudaProbeTest {
  private final FakeCuda cuda = new FakeCuda();

  private void measure() {
    try (CudaProbe probe = new CudaProbe("", cuda.driver())) {
      probe.rates(0);
    }
  }

  @Test
  void shouldGiveBackWhatItHadWhicheverThingCannotBeHad() {
    int before = cuda.calls().size();
    measure();
    List<String> calls = cuda.calls().subList(before, cuda.calls().size());
    assertEquals(List.of(), cuda.open());
    for (int call = 0; call < calls.size(); call++) {
      if (calls.get(call).matches(".*(Retain|Create|Alloc|memcpy).*")) {
        cuda.failAfter(call);
        assertThrows(CudaException.class, this::measure, calls.get(call));
        assertEquals(List.of(), cuda.open(), "without " + calls.get(call));
      }
    }
  }
}

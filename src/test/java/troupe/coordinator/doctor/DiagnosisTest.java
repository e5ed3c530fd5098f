package troupe.coordinator.doctor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class DiagnosisTest {
  private static final Section CPU =
      new Section(
          "cpu",
          List.of(Fact.of("cores", 2), Fact.bytes("l2_cache", 3 << 20)),
          List.of("cores: 2 (expected: more); buy some"));

  @Test
  void shouldAlignNamesAndPutAdviceLast() {
    assertEquals(
        """
        cpu
          cores                 2
          l2 cache              3.0 MiB
        advice
          cores: 2 (expected: more); buy some
        """,
        new Diagnosis(List.of(CPU)).text());
  }

  @Test
  void shouldSayThatNothingIsMissingWhenThereIsNoAdvice() {
    assertTrue(new Diagnosis(List.of()).text().contains("nothing is missing"));
  }

  @Test
  void shouldKeepNumbersAsNumbersInJson() {
    String json = new Diagnosis(List.of(CPU)).json();
    assertTrue(json.contains("\"cores\": 2,"), json);
    assertTrue(json.contains("\"l2_cache_bytes\": 3145728"), json);
  }

  @Test
  void shouldNestWhatBelongsTogetherInJson() {
    Section gpu =
        new Section(
            "gpu",
            List.of(new Fact("gpu_0", Map.of("total_bytes", 1L << 30), "1.0 GiB")),
            List.of());
    String json = new Diagnosis(List.of(gpu)).json();
    assertTrue(json.contains("\"total_bytes\": 1073741824"), json);
  }
}

package troupe.coordinator.doctor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
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
  void shouldAdviseTheCudaProfileForGpusWithinReachOfNd4j() {
    Section section = GpuExam.examine(List.of("NVIDIA A10, 23028 MiB, 580.82, 8.6"));
    assertTrue(section.advice().getFirst().contains("-Pnd4j-cuda"), section.toString());
  }

  @Test
  void shouldSayWhyGpusBeyondNd4jStayIdle() {
    Section section = GpuExam.examine(List.of("NVIDIA H200, 143771 MiB, 580.82, 9.0"));
    assertTrue(section.advice().getFirst().contains("8.6"), section.toString());
    assertEquals(List.of(), GpuExam.examine(List.of()).advice());
  }
}

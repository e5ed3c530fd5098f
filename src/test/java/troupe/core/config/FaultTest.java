package troupe.core.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FaultTest {
  @Test
  void shouldParseStepLayerExpertAndPhase() {
    assertEquals(new Fault(12, 3, 7, Fault.Phase.BACKWARD), Fault.parse("12:3/7:backward"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "1",
        "1:2/3",
        "1:2/3:sideways",
        "1:2/3:FORWARD",
        "-1:2/3:apply",
        "1:2:3:apply",
        "1:2/3:apply ",
        "99999999999:0/0:apply"
      })
  void shouldRefuseAnyOtherForm(String text) {
    assertThrows(IllegalArgumentException.class, () -> Fault.parse(text));
  }
}

package troupe.coordinator.lab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.core.UserException;
import troupe.core.config.ConfigLoader;
import troupe.core.config.GateType;
import troupe.core.config.RunConfig;

class ArmTest {
  private static final RunConfig BASE = ConfigLoader.parse("", List.of());

  @Test
  void shouldReadNameAndOverrides() {
    Arm arm = Arm.parse("lab.arms", "switch N=2:  gate.type=switch   experts.count=2");
    assertEquals(new Arm("switch N=2", List.of("gate.type=switch", "experts.count=2")), arm);
    assertEquals(2, arm.config(BASE, List.of()).experts().count());
    assertEquals(7, arm.config(BASE, List.of("experts.count=7")).experts().count());
  }

  @Test
  void shouldTakeTheNameOfAGateForIt() {
    assertEquals(
        GateType.SPARSEMIXER_2ND,
        Arm.parse("lab.arms", "sparsemixer-2nd").config(BASE, List.of()).gate().type());
  }

  @ParameterizedTest
  @ValueSource(strings = {": gate.type=switch", "a: switch", "a: =switch"})
  void shouldRefuseWhatIsNeither(String text) {
    UserException refused = assertThrows(UserException.class, () -> Arm.parse("lab.arms", text));
    assertTrue(refused.getMessage().contains("expected: NAME: KEY=VALUE"), refused.getMessage());
  }

  @Test
  void shouldRefuseTwoOfOneName() {
    assertThrows(
        UserException.class, () -> Arm.parse("lab.arms", List.of("a: seed=1", "a: seed=2")));
  }

  @Test
  void shouldSayInWhichArmAKeyIsWrong() {
    Arm arm = Arm.parse("lab.arms", "typo: gate.typ=switch gate.jitter=x");
    UserException refused = assertThrows(UserException.class, () -> arm.config(BASE, List.of()));
    assertEquals(
        2,
        refused.getMessage().lines().filter(line -> line.startsWith("\"typo\": gate.")).count(),
        refused.getMessage());
  }
}

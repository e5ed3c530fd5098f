package troupe.core.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class ResolvedConfigTest {
  private static final RunConfig DEFAULTS = with();

  @ParameterizedTest
  @ValueSource(strings = {"defaults", "quickstart", "bench-cpu", "golden", "jdk-sources"})
  void shouldParseToAnEqualConfigWhenRendered(String name) {
    RunConfig config = ConfigLoader.load(Path.of("..", "configs", name + ".conf"), List.of());
    assertEquals(config, ConfigLoader.parse(ResolvedConfig.render(config), List.of()));
  }

  @ParameterizedTest
  @EnumSource(GateType.class)
  void shouldKeepOddValuesWhenRendered(GateType type) {
    RunConfig config =
        with(
            "gate.type=" + Keys.name(type),
            "gate.allow_leak=true",
            "seed=-9223372036854775808",
            "run.dir=a \"b\"\\n#c ${x}",
            "schedule.learning_rate=0.1234567890123456",
            "optimizer.epsilon=1e-300",
            "generate.prompts=[\"tab\\there\", \"\"]",
            "faults.expert_throws=[\"1:2/3:apply\"]");
    assertEquals(config, ConfigLoader.parse(ResolvedConfig.render(config), List.of()));
  }

  @Test
  void shouldRenderSectionsInTheOrderOfTheRecords() {
    List<String> sections =
        ResolvedConfig.render(DEFAULTS).lines().filter(line -> line.matches("\\w.*")).toList();
    assertEquals(
        Arrays.asList(
            "run {",
            "seed = 0",
            "device = \"cpu\"",
            "cuda {",
            "model {",
            "gate {",
            "experts {",
            "data {",
            "optimizer {",
            "schedule {",
            "train {",
            "evaluate {",
            "generate {",
            "checkpoint {",
            "cluster {",
            "placement {",
            "replicate {",
            "transport {",
            "faults {",
            "simulate {",
            "lab {"),
        sections);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "run.dir=elsewhere",
        "resume=true",
        "train.log_every=1",
        "evaluate.every=7",
        "generate.tokens=7",
        "checkpoint.every=7",
        "cluster.threads=7",
        "transport.mode=udp",
        "faults.expert_throws=1:0/0:apply",
        "gate.trace=true",
        "simulate.zipf=2",
        "lab.seeds=7"
      })
  void shouldHashAlikeWhenOnlyTheCourseDiffers(String override) {
    assertNotEquals(DEFAULTS, with(override));
    assertEquals(ResolvedConfig.hash(DEFAULTS), ResolvedConfig.hash(with(override)));
    assertEquals(List.of(), ResolvedConfig.differences(DEFAULTS, with(override)));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "seed=1",
        "device=reference",
        "model.d_model=64",
        "gate.omega=false",
        "experts.count=4",
        "data.validation_fraction=0.1",
        "optimizer.clip=0.5",
        "schedule.type=constant",
        "train.steps=7",
        "train.ranks=4"
      })
  void shouldHashApartWhenResultsDiffer(String override) {
    assertNotEquals(ResolvedConfig.hash(DEFAULTS), ResolvedConfig.hash(with(override)));
    assertEquals(1, ResolvedConfig.differences(DEFAULTS, with(override)).size());
  }

  @Test
  void shouldNameDifferingKeysWithBothValues() {
    List<ResolvedConfig.Difference> differences =
        ResolvedConfig.differences(with("gate.type=switch", "model.layers=2"), DEFAULTS);
    assertEquals(
        List.of("model.layers: 2 (expected: 4)", "gate.type: switch (expected: sparsemixer)"),
        differences.stream().map(ResolvedConfig.Difference::toString).toList());
  }

  @Test
  void shouldHashInHex() {
    assertTrue(ResolvedConfig.hash(DEFAULTS).matches("[0-9a-f]{64}"));
  }

  private static RunConfig with(String... overrides) {
    return ConfigLoader.parse("", List.of(overrides));
  }
}

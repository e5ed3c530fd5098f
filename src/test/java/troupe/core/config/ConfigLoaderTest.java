package troupe.core.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.core.UserException;
import troupe.core.config.RunConfig.Source;
import troupe.core.tensor.Activation;

class ConfigLoaderTest {
  private static final Path CONFIGS = Path.of("..", "configs");

  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "defaults",
        "quickstart",
        "bench-cpu",
        "golden",
        "jdk-sources",
        "estimators",
        "kool-toy"
      })
  void shouldLoadEveryShippedConfig(String name) {
    RunConfig config = ConfigLoader.load(CONFIGS.resolve(name + ".conf"), List.of());
    assertEquals("runs/" + name, config.run().dir());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"quickstart", "bench-cpu", "golden", "jdk-sources", "estimators", "kool-toy"})
  void shouldIncludeDefaultsInEveryShippedConfig(String name) throws IOException {
    assertTrue(
        Files.readString(CONFIGS.resolve(name + ".conf")).contains("include \"defaults.conf\""));
  }

  @Test
  void shouldHaveADefaultForEveryKey() {
    RunConfig config = ConfigLoader.parse("", List.of());
    assertEquals(GateType.SPARSEMIXER, config.gate().type());
    assertEquals(Activation.GELU, config.model().activation());
    assertEquals(256, config.model().vocab());
    assertEquals("runs/unnamed", config.run().dir());
  }

  @Test
  void shouldExplainEveryDefault() throws IOException {
    List<String> lines = Files.readAllLines(CONFIGS.resolve("defaults.conf"));
    for (int i = 1; i < lines.size(); i++) {
      boolean sets = lines.get(i).matches("\\s*\\w+ = .*");
      String before = lines.get(i - 1).strip();
      // beta1 and beta2 share a reason.
      assertTrue(
          !sets || before.startsWith("#") || before.startsWith("beta1"),
          "no reason beside: " + lines.get(i));
    }
  }

  @Test
  void shouldFallBackToShippedDefaultsFarFromConfigs() throws IOException {
    Path file = write("tiny.conf", "include \"defaults\"\nmodel.d_model = 64");
    RunConfig config = ConfigLoader.load(file, List.of());
    assertEquals(64, config.model().dModel());
    assertEquals(ConfigLoader.parse("", List.of()).train(), config.train());
    assertEquals("runs/tiny", config.run().dir());
  }

  @Test
  void shouldPreferTheDefaultsBesideTheFile() throws IOException {
    write("defaults.conf", "seed = 5, train.steps = 7");
    Path file = write("run.conf", "include \"defaults\"\nseed = 6");
    RunConfig config = ConfigLoader.load(file, List.of());
    assertEquals(6, config.seed());
    assertEquals(7, config.train().steps());
  }

  @Test
  void shouldLetTheLastOverrideWin() {
    RunConfig config =
        ConfigLoader.parse(
            "train.steps = 1",
            List.of("train.steps=2", "gate.type=switch", "train.steps=3", "model.d_model=32"));
    assertEquals(3, config.train().steps());
    assertEquals(GateType.SWITCH, config.gate().type());
    assertEquals(32, config.model().dModel());
  }

  @Test
  void shouldTakeTextOverridesLiterally() {
    RunConfig config =
        ConfigLoader.parse(
            "",
            List.of(
                "data.source=text",
                "data.path=/books//a b/*.txt",
                "run.dir=\"runs/#1\"",
                "faults.expert_throws=3:1/2:backward",
                "generate.prompts=[\"a:\", \"b\"]"));
    assertEquals(Source.TEXT, config.data().source());
    assertEquals("/books//a b/*.txt", config.data().path());
    assertEquals("runs/#1", config.run().dir());
    assertEquals(List.of("3:1/2:backward"), config.faults().expertThrows());
    assertEquals(List.of("a:", "b"), config.generate().prompts());
  }

  @Test
  void shouldReadResumeAsRunResume() {
    assertTrue(ConfigLoader.parse("", List.of("resume=true")).run().resume());
    assertFalse(ConfigLoader.parse("", List.of()).run().resume());
  }

  @Test
  void shouldReadSixtyFourBitSeeds() {
    assertEquals(
        -9007199254740993L, ConfigLoader.parse("", List.of("seed=-9007199254740993")).seed());
  }

  @ParameterizedTest
  @CsvSource({
    "train.step,           train.steps",
    "model.dmodel,         model.d_model",
    "expert.count,         experts.count",
    "steps,                train.steps",
    "capacity_factor,      experts.capacity_factor",
    "modle.heads,          model.heads",
    "gate.balance_coef,    gate.balance_coefficient",
    "train.microbatches,   train.micro_batches",
    "optimizer.lr_warmup_steps, schedule.warmup_steps",
  })
  void shouldNameTheNearestKeyWhenAKeyIsUnknown(String unknown, String nearest) {
    UserException error = wrong(unknown + "=1");
    assertEquals(
        unknown + ": unknown key (nearest known: " + nearest + ") in override " + unknown + "=1",
        error.getMessage());
    assertFalse(error.hint().isBlank());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "train.steps=many           | train.steps: \"many\" (expected: a whole number below 2147483648)",
        "train.steps=1.5            | train.steps: 1.5 (expected: a whole number below 2147483648)",
        "train.steps=3000000000     | train.steps: 3000000000 (expected: a whole number below 2147483648)",
        "train.steps=null           | train.steps: missing (expected: a whole number below 2147483648)",
        "seed=x                     | seed: \"x\" (expected: a whole number)",
        "gate.jitter=wide           | gate.jitter: \"wide\" (expected: a number)",
        "gate.jitter=1e999          | gate.jitter: Infinity (expected: a number)",
        "gate.jitter=NaN            | gate.jitter: \"NaN\" (expected: a number)",
        "gate.omega=maybe           | gate.omega: \"maybe\" (expected: true or false)",
        "gate.type=mixer            | gate.type: \"mixer\" (expected: one of switch, sparsemixer, sparsemixer-1st, ",
        "gate.type=[switch]         | gate.type: [switch] (expected: one of switch, sparsemixer, sparsemixer-1st, ",
        "gate.mask=all              | gate.mask: \"all\" (expected: one of code, paper, none)",
        "data.source=web            | data.source: \"web\" (expected: one of dictionary, jdk-sources, text)",
        "transport.mode=tcp         | transport.mode: \"tcp\" (expected: one of auto, ipc, udp)",
        "generate.prompts=[1]       | generate.prompts: [1] (expected: a list of strings)",
        "model=small                | model: \"small\" (expected: a section: model { ... })",
      })
  void shouldNameWhatWasExpectedWhenTheTypeIsWrong(String override, String message) {
    assertTrue(wrong(override).getMessage().startsWith(message), wrong(override).getMessage());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "model.heads=5                  | model.heads: 5 (expected: a divisor of model.d_model = 128)",
        "model.heads=0                  | model.heads: 0 (expected: >= 1)",
        "model.moe_every=5              | model.moe_every: 5 (expected: from 1 to model.layers = 4)",
        "model.vocab=0                  | model.vocab: 0 (expected: >= 1)",
        "model.seq=0                    | model.seq: 0 (expected: >= 1)",
        "experts.count=0                | experts.count: 0 (expected: >= 1)",
        "experts.capacity_factor=-1     | experts.capacity_factor: -1.0 (expected: >= 0; 0 = dropless)",
        "gate.jitter=-0.1               | gate.jitter: -0.1 (expected: >= 0)",
        "train.ranks=17                 | train.ranks: 17 (expected: at most train.batch = 16 sequences",
        "train.micro_batches=9          | train.micro_batches: 9 (expected: at most train.batch = 16 sequences",
        "train.ranks=2000000000         | train.ranks: 2000000000 (expected: at most train.batch = 16 sequences",
        "train.ranks=3                  | train.batch: 16 (expected: a multiple of ranks * micro_batches = 3)",
        "train.steps=0                  | train.steps: 0 (expected: >= 1)",
        "optimizer.beta1=1              | optimizer.beta1: 1.0 (expected: >= 0 and < 1)",
        "optimizer.beta2=-0.5           | optimizer.beta2: -0.5 (expected: >= 0 and < 1)",
        "optimizer.epsilon=0            | optimizer.epsilon: 0.0 (expected: > 0)",
        "schedule.learning_rate=0       | schedule.learning_rate: 0.0 (expected: > 0)",
        "schedule.final_fraction=1.5    | schedule.final_fraction: 1.5 (expected: from 0 to 1)",
        "data.source=text               | data.path: \"\" (expected: a file, directory or glob",
        "data.validation_fraction=0.51  | data.validation_fraction: 0.51 (expected: > 0 and <= 0.5)",
        "data.validation_fraction=0     | data.validation_fraction: 0.0 (expected: > 0 and <= 0.5)",
        "checkpoint.keep=0              | checkpoint.keep: 0 (expected: >= 1)",
        "cluster.reply_timeout_seconds=0 | cluster.reply_timeout_seconds: 0.0 (expected: > 0)",
        "transport.mtu_bytes=1000       | transport.mtu_bytes: 1000 (expected: a multiple of 32",
        "transport.term_bytes=100000    | transport.term_bytes: 100000 (expected: a power of two",
        "faults.expert_throws=soon      | faults.expert_throws: \"soon\" (expected: STEP:LAYER/EXPERT:PHASE",
        "faults.expert_throws=1:4/0:apply | faults.expert_throws: \"1:4/0:apply\" (expected: a mixture layer below 4",
        "faults.expert_throws=1:0/8:apply | faults.expert_throws: \"1:0/8:apply\" (expected: a mixture layer below 4",
        "device=                        | device: \"\" (expected: the name of a device",
      })
  void shouldRefuseImpossibleValues(String override, String message) {
    assertTrue(wrong(override).getMessage().startsWith(message), wrong(override).getMessage());
  }

  @Test
  void shouldRefuseMoreExpertsThanTheGroupsOfATokenHave() {
    UserException error = wrong("gate.type=deepseek-v3", "gate.top_k=3", "gate.deepseek.groups=4");
    assertTrue(
        error.getMessage().startsWith("gate.top_k: 3 (expected: at most the experts of"),
        error.getMessage());
  }

  @Test
  void shouldRefuseJitterThatFlipsSignsOnlyForSwitch() {
    assertEquals(1.0, ConfigLoader.parse("", List.of("gate.jitter=1")).gate().jitter());
    UserException error = wrong("gate.type=switch", "gate.jitter=1");
    assertTrue(error.getMessage().startsWith("gate.jitter: 1.0 (expected: < 1"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"dense", "straight-through", "st-gumbel", "reinmax"})
  void shouldRefuseACapacityWhereEveryExpertGetsEveryToken(String type) {
    UserException error = wrong("gate.type=" + type, "experts.capacity_factor=1.25");
    assertTrue(
        error
            .getMessage()
            .startsWith("experts.capacity_factor: 1.25 (expected: 0 for gate.type = " + type),
        error.getMessage());
    assertEquals(0, ConfigLoader.parse("", List.of("gate.type=" + type)).gate().balanceWeight());
  }

  @ParameterizedTest
  @EnumSource
  void shouldRefuseAWeightOfABalanceLossThatAGateDoesNotHave(GateType type) {
    List<String> overrides =
        List.of("gate.type=" + Keys.name(type), "gate.allow_leak=true", "gate.temperature=1");
    String written = ResolvedConfig.render(ConfigLoader.parse("", overrides));
    ConfigLoader.parse(written, List.of());
    ConfigLoader.parse(written, List.of("gate.balance_coefficient=0"));
    List<String> set = new ArrayList<>(overrides);
    set.add("gate.balance_coefficient=0.3");
    if (type.hasBalanceLoss()) {
      assertEquals(0.3, ConfigLoader.parse("", set).gate().balanceWeight());
    } else {
      UserException error = wrong(set.toArray(String[]::new));
      assertTrue(
          error
              .getMessage()
              .startsWith(
                  "gate.balance_coefficient: 0.3 (expected: 0, or not set, for gate.type = "
                      + Keys.name(type)),
          error.getMessage());
    }
  }

  @Test
  void shouldRefuseMoreRoundsThanHaveDraws() {
    String type = "gate.type=sparsemixer-v2";
    List<String> most = List.of(type, "gate.top_k=16", "experts.count=32");
    assertEquals(16, ConfigLoader.parse("", most).gate().topK());
    UserException error = wrong(type, "gate.top_k=17", "experts.count=32");
    assertTrue(
        error.getMessage().startsWith("gate.top_k: 17 (expected: at most 16"), error.getMessage());
  }

  @Test
  void shouldRefuseATemperatureThatReinMaxIsNotMeantFor() {
    assertEquals(
        0.5,
        ConfigLoader.parse("", List.of("gate.type=st-gumbel", "gate.temperature=0.5"))
            .gate()
            .temperature());
    UserException error = wrong("gate.type=reinmax", "gate.temperature=0.5");
    assertTrue(
        error.getMessage().startsWith("gate.temperature: 0.5 (expected: >= 1"), error.getMessage());
  }

  @Test
  void shouldReportAllMistakesAtOnceWithTheirLines() throws IOException {
    Path file =
        write(
            "bad.conf",
            """
            include "defaults"
            train.steps = many
            model {
              heads = 5
              layer = 3
            }
            optimizer { beta1 = 2, beta2 = 2 }
            """);
    UserException error =
        assertThrows(UserException.class, () -> ConfigLoader.load(file, List.of()));
    assertEquals(
        List.of(
            "model.layer: unknown key (nearest known: model.layers) at " + file + ":5",
            "optimizer.beta1: 2.0 (expected: >= 0 and < 1) at " + file + ":7",
            "optimizer.beta2: 2.0 (expected: >= 0 and < 1) at " + file + ":7",
            "train.steps: \"many\" (expected: a whole number below 2147483648) at " + file + ":2"),
        error.getMessage().lines().toList());
    assertTrue(error.hint().contains(file.toString()));
  }

  @Test
  void shouldRefuseAMissingFile() {
    Path file = folder.resolve("nowhere.conf");
    UserException error =
        assertThrows(UserException.class, () -> ConfigLoader.load(file, List.of()));
    assertEquals("config: " + file + " (expected: a readable file)", error.getMessage());
  }

  @Test
  void shouldRefuseAFolder() {
    assertThrows(UserException.class, () -> ConfigLoader.load(folder, List.of()));
  }

  @Test
  void shouldNameTheLineOfASyntaxError() throws IOException {
    Path file = write("torn.conf", "seed = 1\nmodel {\n  heads = = 4\n");
    UserException error =
        assertThrows(UserException.class, () -> ConfigLoader.load(file, List.of()));
    assertTrue(error.getMessage().contains("torn.conf: 3"), error.getMessage());
  }

  @ParameterizedTest
  @ValueSource(strings = {"train.steps", "=3", "train.steps=", "train.steps={", "a..b=1"})
  void shouldRefuseAnOverrideOfAnotherForm(String override) {
    wrong(override);
  }

  private static UserException wrong(String... overrides) {
    return assertThrows(UserException.class, () -> ConfigLoader.parse("", List.of(overrides)));
  }

  private Path write(String name, String text) throws IOException {
    return Files.writeString(folder.resolve(name), text);
  }
}

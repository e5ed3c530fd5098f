package troupe.coordinator.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.coordinator.host.Model;
import troupe.core.config.RunConfig;
import troupe.core.nn.ParameterSpec;
import troupe.core.nn.Parameters;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;
import troupe.core.tensor.Tensor;
import troupe.expert.network.ExpertState;
import troupe.router.trunk.RankState;

/**
 * The gradient of the whole model, losses of the gate included, against central differences of the
 * loss along a random direction of every parameter. With the Switch gate it is exact as long as no
 * token changes its expert.
 */
final class ModelGradientTest {
  private static final long SEED = 11;

  /**
   * Third derivatives leave an error near its square, rounding of the loss one near 1e-16 over it.
   */
  private static final double STRIDE = 1e-5;

  private static final double RELATIVE = 1e-6;
  private static final double FLOOR = 1e-9;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "model.activation=relu",
        "model.activation=swiglu",
        "model.activation=gelu",
        "model.layers=4 model.moe_every=2",
        "model.layers=3 model.moe_every=3 model.activation=swiglu",
        "gate.z_coefficient=0.1",
        "gate.jitter=0.3 gate.jitter_on=logits gate.z_coefficient=0.1",
        "gate.jitter=0.3 gate.jitter_on=input gate.z_coefficient=0.1",
        "gate.omega=false",
        "experts.capacity_factor=0.75 experts.min_capacity=0 experts.drop=position",
        "experts.capacity_factor=0.75 experts.min_capacity=0 experts.drop=shuffled",
        "experts.count=1",
        "model.seq=1 train.batch=4",
        "train.ranks=1 train.micro_batches=1",
        "gate.type=softmax-topk gate.top_k=2",
        "gate.type=softmax-topk gate.top_k=2 experts.capacity_factor=0.75 experts.min_capacity=0",
        "gate.type=gshard gate.gshard.second=best",
        "gate.type=gshard gate.gshard.second=best experts.capacity_factor=0.75 experts.min_capacity=0",
        "gate.type=deepseek-v3 gate.top_k=2 gate.balance_coefficient=0",
        "gate.type=xmoe",
        "gate.type=xmoe experts.count=20 gate.top_k=2",
        "gate.type=relu gate.relu.coefficient=0.2 gate.balance_coefficient=0",
        "gate.type=hash gate.hash.table=random gate.balance_coefficient=0"
      })
  void shouldMatchFiniteDifferences(String overrides) {
    RunConfig config = config(overrides);
    try (Device device = Devices.open("reference");
        Model model = new Model(device, config)) {
      List<Entry> entries = entries(model);
      SplittableRandom random = new SplittableRandom(SEED);
      entries.forEach(entry -> entry.set(started(entry.spec(), random)));
      SingleProcess single =
          new SingleProcess(model, Runs.randomBatches(config), Runs.draws(config));
      SingleProcess.Result result = single.computeGradients();
      assertEquals(config.experts().capacityFactor() > 0, result.dropped() > 0, "drops tokens");
      List<double[]> gradients = entries.stream().map(Entry::gradient).toList();

      for (int i = 0; i < entries.size(); i++) {
        compare(single, result, entries.get(i), gradients.get(i), random);
      }
    }
  }

  private static void compare(
      SingleProcess single,
      SingleProcess.Result undisturbed,
      Entry entry,
      double[] gradient,
      SplittableRandom random) {
    double[] values = entry.values();
    double[] direction = random.doubles(values.length, -1, 1).toArray();
    double expected = 0;
    for (int i = 0; i < direction.length; i++) {
      expected += gradient[i] * direction[i];
    }
    double above = loss(single, undisturbed, entry, values, direction, STRIDE);
    double below = loss(single, undisturbed, entry, values, direction, -STRIDE);
    entry.set(values);
    double measured = (above - below) / (2 * STRIDE);
    double allowed = RELATIVE * Math.max(Math.abs(expected), Math.abs(measured)) + FLOOR;
    assertTrue(
        Math.abs(expected - measured) <= allowed,
        "%s seed=%d: gradient %.12g, measured %.12g"
            .formatted(entry.spec().name(), SEED, expected, measured));
  }

  private static double loss(
      SingleProcess single,
      SingleProcess.Result undisturbed,
      Entry entry,
      double[] values,
      double[] direction,
      double stride) {
    double[] moved = values.clone();
    for (int i = 0; i < moved.length; i++) {
      moved[i] += stride * direction[i];
    }
    entry.set(moved);
    SingleProcess.Result result = single.computeGradients();
    assertEquals(
        undisturbed.choices(),
        result.choices(),
        entry.spec().name() + " moves a token; take another seed");
    return result.loss();
  }

  private static RunConfig config(String overrides) {
    List<String> all =
        new ArrayList<>(
            List.of(
                "device=reference",
                "gate.type=switch",
                "gate.jitter=0",
                "gate.balance_coefficient=0.3",
                "model.d_model=8",
                "model.d_ff=12",
                "model.seq=6",
                "model.vocab=16",
                "experts.count=3"));
    all.addAll(List.of(overrides.split(" ")));
    return Runs.tiny(all.toArray(String[]::new));
  }

  /**
   * Far from the flat point where models start: gradients there are too small to tell from
   * rounding.
   */
  private static double[] started(ParameterSpec spec, SplittableRandom random) {
    double[] start = spec.init().values(SEED, spec.name(), Math.toIntExact(spec.size()));
    boolean matrix = (spec.update() == ParameterSpec.Update.DECAYED);
    for (int i = 0; i < start.length; i++) {
      start[i] = matrix ? random.nextGaussian(0, 0.5) : start[i] + random.nextGaussian(0, 0.2);
    }
    return start;
  }

  /** A parameter: of the trunk, which every rank has, or of an expert. */
  private interface Entry {
    ParameterSpec spec();

    double[] values();

    void set(double[] values);

    double[] gradient();
  }

  private record TrunkEntry(Model model, ParameterSpec spec) implements Entry {
    @Override
    public double[] values() {
      return model.ranks().getFirst().parameters().get(spec.name()).toDoubles();
    }

    @Override
    public void set(double[] values) {
      model.ranks().forEach(rank -> rank.parameters().get(spec.name()).set(values));
    }

    /** Out of the summed slices, wherever those cut it. */
    @Override
    public double[] gradient() {
      Parameters first = model.ranks().getFirst().parameters();
      try (Tensor flat = model.devices().first().allocate(1, first.flat().columns())) {
        for (RankState rank : model.ranks()) {
          Tensor slice =
              flat.slice(rank.slices().from(rank.rank()), 1, rank.slices().count(rank.rank()));
          model.devices().first().kernels().copy(slice, rank.gradientSum());
        }
        return flat.slice(first.layout().offset(spec.name()), spec.rows(), spec.columns())
            .toDoubles();
      }
    }
  }

  private record ExpertEntry(ExpertState expert, ParameterSpec spec) implements Entry {
    @Override
    public double[] values() {
      return expert.parameters().get(spec.name()).toDoubles();
    }

    @Override
    public void set(double[] values) {
      expert.parameters().get(spec.name()).set(values);
    }

    @Override
    public double[] gradient() {
      return expert.gradients().get(spec.name()).toDoubles();
    }
  }

  private static List<Entry> entries(Model model) {
    List<Entry> entries = new ArrayList<>();
    for (ParameterSpec spec : model.ranks().getFirst().parameters().layout().specs()) {
      // What gates keep has no gradient.
      if (spec.update() != ParameterSpec.Update.ADDED) {
        entries.add(new TrunkEntry(model, spec));
      }
    }
    for (ExpertState expert : model.experts()) {
      for (ParameterSpec spec : expert.parameters().layout().specs()) {
        entries.add(new ExpertEntry(expert, spec));
      }
    }
    return entries;
  }
}

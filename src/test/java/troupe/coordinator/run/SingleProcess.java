package troupe.coordinator.run;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.IntStream;
import troupe.coordinator.host.Model;
import troupe.core.config.RunConfig;
import troupe.core.optim.LearningRate;
import troupe.core.tensor.AdamWStep;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Tensor;
import troupe.expert.network.ExpertState;
import troupe.expert.network.ExpertStep;
import troupe.expert.network.TensorPayload;
import troupe.router.BatchSource;
import troupe.router.pass.DrawsSource;
import troupe.router.pass.Outgoing;
import troupe.router.pass.RankPass;
import troupe.router.trunk.HostRoutedTokens;
import troupe.router.trunk.LayerStats;
import troupe.router.trunk.MicroBatch;
import troupe.router.trunk.MoeActivations;
import troupe.router.trunk.RankState;
import troupe.transport.Phase;

/**
 * Training without actors: the same pieces, one after the other on the calling thread. An expert
 * answers at once, so nothing is ever late, sent twice or out of order.
 */
final class SingleProcess {
  private final Model model;
  private final RunConfig config;
  private final BatchSource batches;
  private final DrawsSource draws;
  private final GradientsFinal whenFinal;
  private long committedStep;

  SingleProcess(Model model, BatchSource batches, DrawsSource draws) {
    this(model, batches, draws, (rank, layer) -> {});
  }

  SingleProcess(Model model, BatchSource batches, DrawsSource draws, GradientsFinal whenFinal) {
    this.whenFinal = whenFinal;
    this.model = model;
    this.config = model.config();
    this.batches = batches;
    this.draws = draws;
  }

  /** Told when the trunk's gradients of a layer, and those behind it, are final for a rank. */
  interface GradientsFinal {
    void accept(int rank, int layer);
  }

  /**
   * What a step came to.
   *
   * @param choices everything discrete: the expert of each token, and who was dropped
   */
  record Result(
      double crossEntropy,
      double balance,
      double z,
      double loss,
      long dropped,
      double gradNorm,
      List<Integer> choices) {}

  /** Trains to {@code lastStep}. */
  List<Result> train(long lastStep) {
    List<Result> results = new ArrayList<>();
    while (committedStep < lastStep) {
      results.add(step());
    }
    return results;
  }

  private Result step() {
    Result result = computeGradients();
    double clip = config.optimizer().clip();
    AdamWStep hyper =
        new AdamWStep(
            LearningRate.at(config.schedule(), committedStep + 1, config.train().steps()),
            config.optimizer().beta1(),
            config.optimizer().beta2(),
            config.optimizer().epsilon(),
            committedStep + 1,
            clip > 0 ? Math.min(1, clip / (result.gradNorm() + 1e-6)) : 1);
    for (ExpertState expert : model.experts()) {
      expert.owned().apply(expert.gradients().flat(), hyper, () -> {});
    }
    for (RankState rank : model.ranks()) {
      rank.owned().apply(rank.gradientSum(), hyper, () -> {});
    }
    Kernels kernels = model.devices().first().kernels();
    for (RankState owner : model.ranks()) {
      for (RankState other : model.ranks()) {
        if (other != owner) {
          kernels.copy(other.parameterSlice(owner.rank()), owner.parameterSlice(owner.rank()));
        }
      }
    }
    committedStep++;
    return result;
  }

  /**
   * Runs forward and backward of the next step; leaves sums over all ranks in gradientSum and in
   * the experts' gradients.
   */
  Result computeGradients() {
    try (Pass pass = new Pass(committedStep + 1)) {
      return pass.run();
    }
  }

  /** Logits of every token of the next step, in token order. */
  double[] logits() {
    try (Pass pass = new Pass(committedStep + 1)) {
      pass.run();
      return IntStream.range(0, model.ranks().size())
          .boxed()
          .flatMap(
              rank ->
                  pass.ranks.get(rank).micros().stream()
                      .map(model.ranks().get(rank).trunk()::logits))
          .flatMapToDouble(Arrays::stream)
          .toArray();
    }
  }

  /** One step of all ranks. */
  private final class Pass implements AutoCloseable {
    private final List<RankPass> ranks = new ArrayList<>();
    private final SortedMap<List<Integer>, ExpertStep> experts = new TreeMap<>(Pass::compare);
    private final SortedMap<Integer, LayerStats[]> stats_LR = new TreeMap<>();
    private final long tokens = (long) config.train().batch() * config.model().seq();

    Pass(long step) {
      for (ExpertState expert : model.experts()) {
        experts.put(
            List.of(expert.layer(), expert.expert()),
            new ExpertStep(expert, step, config.train().ranks(), config.train().microBatches()));
      }
      for (RankState rank : model.ranks()) {
        List<MicroBatch> micros = new ArrayList<>();
        for (int m = 0; m < config.train().microBatches(); m++) {
          micros.add(
              new MicroBatch(m, batches.training(step, rank.rank(), m), config.model().layers()));
        }
        ranks.add(
            RankPass.training(
                rank,
                micros,
                step,
                rank.rank() * tokens / config.train().ranks(),
                tokens,
                draws,
                new Direct(rank.rank())));
      }
    }

    private static int compare(List<Integer> a, List<Integer> b) {
      return Arrays.compare(
          a.stream().mapToInt(i -> i).toArray(), b.stream().mapToInt(i -> i).toArray());
    }

    Result run() {
      ranks.forEach(RankPass::advance);
      List<Integer> choices = choices();
      double balance = 0;
      double z = 0;
      double penalty = 0;
      long dropped = 0;
      for (int layer : stats_LR.keySet()) {
        LayerStats total = LayerStats.none(config.experts().count());
        for (LayerStats stats : stats_LR.get(layer)) {
          total = total.plus(stats);
        }
        double[] load_E =
            Arrays.stream(total.balanced_E()).mapToDouble(n -> n / (double) tokens).toArray();
        double sum = 0;
        for (int e = 0; e < load_E.length; e++) {
          sum += load_E[e] * (total.sumP_E()[e] / tokens);
        }
        balance += load_E.length * sum;
        z += total.sumZ() / tokens;
        double weighted = 0;
        for (int e = 0; e < total.penalty_E().length; e++) {
          weighted += load_E[e] * (total.penalty_E()[e] / tokens);
        }
        penalty += weighted;
        dropped += total.dropped();
        ranks.forEach(rank -> rank.load(layer, load_E));
      }
      ranks.forEach(RankPass::advance);
      if (!ranks.stream().allMatch(RankPass::finished)) {
        throw new IllegalStateException("waits for " + ranks.getFirst().waiting());
      }
      sumTrunkGradients();
      double lossSum = 0;
      for (RankPass rank : ranks) {
        lossSum += rank.lossSum();
      }
      double crossEntropy = lossSum / tokens;
      double loss =
          crossEntropy
              + config.gate().balanceWeight() * balance
              + config.gate().zCoefficient() * z
              + penalty;
      return new Result(crossEntropy, balance, z, loss, dropped, gradNorm(), choices);
    }

    private List<Integer> choices() {
      List<Integer> choices = new ArrayList<>();
      for (RankPass rank : ranks) {
        for (MicroBatch micro : rank.micros()) {
          for (int layer : stats_LR.keySet()) {
            MoeActivations moe = micro.layer(layer).moe();
            HostRoutedTokens routed = (HostRoutedTokens) moe.routed();
            Arrays.stream(routed.routing().expert_S()).forEach(choices::add);
            Arrays.stream(routed.plan().tokenOfRow_R()).forEach(choices::add);
          }
        }
      }
      return choices;
    }

    private void sumTrunkGradients() {
      Kernels kernels = model.devices().first().kernels();
      for (RankState owner : model.ranks()) {
        kernels.copy(owner.gradientSum(), model.ranks().getFirst().gradientSlice(owner.rank()));
        for (RankState other : model.ranks().subList(1, model.ranks().size())) {
          kernels.add(owner.gradientSum(), other.gradientSlice(owner.rank()));
        }
      }
    }

    private double gradNorm() {
      double sum = 0;
      for (RankState rank : model.ranks()) {
        sum += squares(rank.optimizedGradientSum());
      }
      for (ExpertState expert : model.experts()) {
        sum += squares(expert.gradients().flat());
      }
      return Math.sqrt(sum);
    }

    private double squares(Tensor x) {
      try (Tensor sum = model.devices().first().allocate(1, 1)) {
        model.devices().first().kernels().sumSquares(sum, x);
        return sum.item();
      }
    }

    @Override
    public void close() {
      experts.values().forEach(ExpertStep::close);
      ranks.forEach(RankPass::close);
    }

    /** Has an expert answer before the next batch is sent. */
    private final class Direct implements Outgoing {
      private final int rank;

      Direct(int rank) {
        this.rank = rank;
      }

      @Override
      public void send(Phase phase, int microBatch, int layer, int expert, Tensor rows) {
        ExpertStep step = experts.get(List.of(layer, expert));
        TensorPayload payload = TensorPayload.lent(rows);
        boolean forward = phase == Phase.FORWARD;
        Tensor answer =
            forward
                ? step.forward(rank, microBatch, payload)
                : step.backward(rank, microBatch, payload);
        step.accumulate();
        ranks
            .get(rank)
            .accept(
                forward ? Phase.OUTPUT : Phase.INPUT_GRADIENT, microBatch, layer, expert, answer);
      }

      @Override
      public void routed(int layer, LayerStats stats) {
        stats_LR.computeIfAbsent(layer, l -> new LayerStats[model.ranks().size()])[rank] = stats;
      }

      @Override
      public void gradientsFinal(int layer) {
        whenFinal.accept(rank, layer);
      }
    }
  }
}

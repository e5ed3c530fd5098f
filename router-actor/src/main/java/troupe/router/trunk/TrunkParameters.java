package troupe.router.trunk;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import troupe.core.config.RunConfig;
import troupe.core.data.TokenCounts;
import troupe.core.nn.FeedForward;
import troupe.core.nn.ParameterLayout;
import troupe.core.nn.ParameterSpec;
import troupe.core.nn.Parameters;
import troupe.core.tensor.Device;
import troupe.expert.network.ExpertState;
import troupe.router.gate.GateState;
import troupe.router.gate.Gates;
import troupe.router.gate.HashTable;

/** Names, shapes and starting values of everything that is not an expert. */
public final class TrunkParameters {
  /**
   * Standard deviation of embeddings and routers at the start, as GPT-2 has it for all matrices.
   * Routers start small so that no expert is far ahead before it has learned anything.
   */
  static final double SMALL_STD = 0.02;

  /** The expert of each token of the vocabulary, in all layers; only where the gate hashes. */
  static final String HASH_TABLE = "router.table";

  private TrunkParameters() {}

  /** The layout of the trunk in canonical order: embeddings, layers, last norm, head. */
  public static ParameterLayout layout(RunConfig config) {
    List<ParameterSpec> specs = new ArrayList<>(embeddings(config));
    for (int layer = 0; layer < config.model().layers(); layer++) {
      specs.addAll(layer(config, layer));
    }
    specs.addAll(end(config.model()));
    return new ParameterLayout(specs);
  }

  /**
   * When the gradient of each parameter is final: the layer whose backward, over all micro-batches,
   * is the last to add to it. The number of layers stands for the backward of the head, which comes
   * first; embeddings are done with layer 0.
   */
  static Map<String, Integer> finalAfter(RunConfig config) {
    int layers = config.model().layers();
    Map<String, Integer> finalAfter = new HashMap<>();
    end(config.model()).forEach(spec -> finalAfter.put(spec.name(), layers));
    for (int layer = 0; layer < layers; layer++) {
      for (ParameterSpec spec : layer(config, layer)) {
        finalAfter.put(spec.name(), layer);
      }
    }
    embeddings(config).forEach(spec -> finalAfter.put(spec.name(), 0));
    return finalAfter;
  }

  /**
   * Parameters as a run starts with them. They depend on the config and on the text alone; the text
   * matters only where tokens are hashed by how often they occur.
   */
  static Parameters initialised(
      Device device, RunConfig config, ParameterLayout layout, TokenCounts counts) {
    Parameters parameters = Parameters.initialised(device, layout, config.seed());
    if (Gates.of(config.gate()).hashes()) {
      int[] table_V = HashTable.of(config, counts);
      parameters.get(HASH_TABLE).set(Arrays.stream(table_V).asDoubleStream().toArray());
    }
    return parameters;
  }

  private static List<ParameterSpec> embeddings(RunConfig config) {
    RunConfig.Model model = config.model();
    List<ParameterSpec> specs = new ArrayList<>();
    specs.add(ParameterSpec.matrix("tok", model.vocab(), model.dModel(), SMALL_STD));
    specs.add(ParameterSpec.matrix("pos", model.seq(), model.dModel(), SMALL_STD));
    if (Gates.of(config.gate()).hashes()) {
      // Saved with the rest: a run that goes on, or is asked elsewhere, needs no text to hash
      // alike.
      specs.add(ParameterSpec.state(HASH_TABLE, model.vocab(), 0));
    }
    return specs;
  }

  private static List<ParameterSpec> layer(RunConfig config, int layer) {
    RunConfig.Model model = config.model();
    int d = model.dModel();
    String prefix = prefix(layer);
    List<ParameterSpec> specs = new ArrayList<>();
    specs.add(ParameterSpec.vector(prefix + "ln1.g", d, 1));
    specs.add(ParameterSpec.vector(prefix + "ln1.b", d, 0));
    specs.add(ParameterSpec.matrix(prefix + "qkv.w", d, 3 * d, initStd(model)));
    specs.add(ParameterSpec.vector(prefix + "qkv.b", 3 * d, 0));
    specs.add(ParameterSpec.matrix(prefix + "proj.w", d, d, outputStd(model)));
    specs.add(ParameterSpec.vector(prefix + "proj.b", d, 0));
    specs.add(ParameterSpec.vector(prefix + "ln2.g", d, 1));
    specs.add(ParameterSpec.vector(prefix + "ln2.b", d, 0));
    if (model.isMoe(layer)) {
      specs.addAll(RouterHead.specs(config, prefix, initStd(model)));
      GateState kept = Gates.of(config.gate()).state();
      if (kept != null) {
        int size = kept.size(config.experts().count());
        specs.add(ParameterSpec.state(prefix + "router.state", size, kept.initial()));
      }
      if (config.gate().omega()) {
        specs.add(ParameterSpec.vector(prefix + "omega", d, 1));
      }
    } else {
      specs.addAll(
          FeedForward.specs(
              prefix, d, model.dFf(), model.activation(), initStd(model), outputStd(model)));
    }
    return specs;
  }

  private static List<ParameterSpec> end(RunConfig.Model model) {
    int d = model.dModel();
    return List.of(
        ParameterSpec.vector("lnf.g", d, 1),
        ParameterSpec.vector("lnf.b", d, 0),
        ParameterSpec.matrix("head", d, model.vocab(), initStd(model)));
  }

  /** The layout of one expert. */
  public static ParameterLayout expertLayout(RunConfig config, int layer, int expert) {
    RunConfig.Model model = config.model();
    return new ParameterLayout(
        ExpertState.specs(
            layer,
            expert,
            model.dModel(),
            model.dFf(),
            model.activation(),
            initStd(model),
            outputStd(model)));
  }

  /** What the names of a layer's parameters start with. */
  static String prefix(int layer) {
    return "l" + layer + ".";
  }

  /**
   * Standard deviation of all other matrices: that of PyTorch's default for a linear layer as wide
   * as the model. GPT-2's 0.02 suits its width of 768 and more. At 128 (quickstart.conf, 400 steps,
   * learning rate 0.004, one seed) validation loss was 2.18 with 0.02, 2.05 with 0.05.
   */
  private static double initStd(RunConfig.Model model) {
    return 1 / Math.sqrt(3.0 * model.dModel());
  }

  /**
   * Matrices that write to the residual stream start smaller, by the root of their number (GPT-2,
   * sec. 2.3).
   */
  private static double outputStd(RunConfig.Model model) {
    return initStd(model) / Math.sqrt(2.0 * model.layers());
  }
}

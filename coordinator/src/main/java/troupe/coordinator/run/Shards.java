package troupe.coordinator.run;

import troupe.coordinator.host.Model;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import troupe.core.checkpoint.Checkpoint;
import troupe.core.checkpoint.NamedArray;
import troupe.core.checkpoint.ParameterHash;
import troupe.core.checkpoint.SafetensorsFile;
import troupe.core.checkpoint.ShardSnapshot;
import troupe.core.config.RunConfig;
import troupe.core.nn.ParameterSpec;
import troupe.core.nn.Parameters;
import troupe.core.tensor.Tensor;
import troupe.expert.network.ExpertState;
import troupe.router.trunk.RankState;

/**
 * How a model is cut into the files of a checkpoint:
 *
 * <pre>
 *   trunk                  the trunk's parameters under their names
 *   trunk-optimizer-rRR    adam_m and adam_v of the slice of the flat trunk that rank RR owns
 *   expert-lLL-eEEE        an expert's parameters under their names, and NAME.adam_m, NAME.adam_v
 * </pre>
 */
public final class Shards {
  private static final String TRUNK = "trunk";
  private static final String FIRST_MOMENT = "adam_m";
  private static final String SECOND_MOMENT = "adam_v";

  private Shards() {}

  /** All shards of a run. */
  public static Set<String> names(RunConfig config) {
    Set<String> names = new TreeSet<>(Set.of(TRUNK));
    for (int rank = 0; rank < config.train().ranks(); rank++) {
      names.add(optimizerName(rank));
    }
    for (int layer = 0; layer < config.model().layers(); layer++) {
      for (int expert = 0;
          config.model().isMoe(layer) && expert < config.experts().count();
          expert++) {
        names.add(expertName(layer, expert));
      }
    }
    return names;
  }

  private static String optimizerName(int rank) {
    return "trunk-optimizer-r%02d".formatted(rank);
  }

  private static String expertName(int layer, int expert) {
    return "expert-l%02d-e%03d".formatted(layer, expert);
  }

  /** Copies what a rank has to write: its moments and, for rank 0, the trunk. */
  public static List<ShardSnapshot> snapshots(RankState state) {
    List<ShardSnapshot> snapshots = new ArrayList<>();
    Tensor m = copy(state.owned().firstMoment());
    Tensor v = copy(state.owned().secondMoment());
    snapshots.add(
        new ShardSnapshot(
            optimizerName(state.rank()),
            List.of(flat(FIRST_MOMENT, m), flat(SECOND_MOMENT, v)),
            () -> close(m, v)));
    if (state.rank() == 0) {
      Tensor flat = copy(state.parameters().flat());
      snapshots.add(
          new ShardSnapshot(TRUNK, named(state.parameters(), flat, ""), () -> close(flat)));
    }
    return snapshots;
  }

  /** Copies an expert. */
  public static ShardSnapshot snapshot(ExpertState state) {
    Tensor flat = copy(state.parameters().flat());
    Tensor m = copy(state.owned().firstMoment());
    Tensor v = copy(state.owned().secondMoment());
    List<NamedArray> arrays = new ArrayList<>(named(state.parameters(), flat, ""));
    arrays.addAll(named(state.parameters(), m, "." + FIRST_MOMENT));
    arrays.addAll(named(state.parameters(), v, "." + SECOND_MOMENT));
    return new ShardSnapshot(
        expertName(state.layer(), state.expert()), arrays, () -> close(flat, m, v));
  }

  /**
   * Loads a checkpoint into a model.
   *
   * @throws IOException if a file cannot be read, or is not of this model
   */
  public static void load(Checkpoint checkpoint, Model model) throws IOException {
    long step = checkpoint.manifest().step();
    for (RankState rank : model.ranks()) {
      try (SafetensorsFile trunk = checkpoint.shard(TRUNK);
          SafetensorsFile optimizer = checkpoint.shard(optimizerName(rank.rank()))) {
        read(trunk, rank.parameters(), rank.parameters().flat(), "");
        readFlat(optimizer, FIRST_MOMENT, rank.owned().firstMoment());
        readFlat(optimizer, SECOND_MOMENT, rank.owned().secondMoment());
      }
      rank.loaded(step);
    }
    for (ExpertState expert : model.experts()) {
      try (SafetensorsFile file = checkpoint.shard(expertName(expert.layer(), expert.expert()))) {
        read(file, expert.parameters(), expert.parameters().flat(), "");
        read(file, expert.parameters(), expert.owned().firstMoment(), "." + FIRST_MOMENT);
        read(file, expert.parameters(), expert.owned().secondMoment(), "." + SECOND_MOMENT);
      }
      expert.owned().loaded(step);
    }
  }

  /** SHA-256 over all parameters of a model in canonical order. */
  public static String hash(Model model) {
    ParameterHash hash = new ParameterHash();
    model
        .parameters()
        .forEach(parameters -> named(parameters, parameters.flat(), "").forEach(hash::add));
    return hash.hex();
  }

  private static Tensor copy(Tensor tensor) {
    Tensor copy = tensor.device().allocate(tensor.rows(), tensor.columns());
    tensor.device().kernels().copy(copy, tensor);
    return copy;
  }

  private static void close(Tensor... tensors) {
    for (Tensor tensor : tensors) {
      tensor.close();
    }
  }

  private static NamedArray flat(String name, Tensor tensor) {
    return new NamedArray(name, tensor.dtype(), new long[] {tensor.size()}, tensor.bytes());
  }

  private static List<NamedArray> named(Parameters parameters, Tensor flat, String suffix) {
    List<NamedArray> arrays = new ArrayList<>();
    forEach(
        parameters,
        flat,
        (spec, view) ->
            arrays.add(
                new NamedArray(
                    spec.name() + suffix, view.dtype(), spec.longShape(), view.bytes())));
    return arrays;
  }

  private static void read(SafetensorsFile file, Parameters parameters, Tensor flat, String suffix)
      throws IOException {
    Map<Tensor, NamedArray> pairs = new LinkedHashMap<>();
    for (ParameterSpec spec : parameters.layout().specs()) {
      pairs.put(view(parameters, flat, spec), array(file, spec.name() + suffix, spec.size(), flat));
    }
    pairs.forEach(
        (view, array) ->
            MemorySegment.copy(array.data(), 0, view.bytes(), 0, view.bytes().byteSize()));
  }

  private static void readFlat(SafetensorsFile file, String name, Tensor tensor)
      throws IOException {
    NamedArray array = array(file, name, tensor.size(), tensor);
    MemorySegment.copy(array.data(), 0, tensor.bytes(), 0, tensor.bytes().byteSize());
  }

  private static NamedArray array(SafetensorsFile file, String name, long size, Tensor target)
      throws IOException {
    NamedArray array = file.arrays().get(name);
    if (array == null
        || array.dtype() != target.dtype()
        || array.data().byteSize() != size * target.dtype().bytes()) {
      throw new IOException(
          name
              + ": "
              + (array == null
                  ? "missing"
                  : array.dtype() + " of " + array.data().byteSize() + " bytes")
              + " (expected: "
              + target.dtype()
              + " of "
              + size * target.dtype().bytes()
              + " bytes)");
    }
    return array;
  }

  private interface Visitor {
    void visit(ParameterSpec spec, Tensor view);
  }

  private static void forEach(Parameters parameters, Tensor flat, Visitor visitor) {
    for (ParameterSpec spec : parameters.layout().specs()) {
      visitor.visit(spec, view(parameters, flat, spec));
    }
  }

  private static Tensor view(Parameters parameters, Tensor flat, ParameterSpec spec) {
    return flat.slice(parameters.layout().offset(spec.name()), spec.rows(), spec.columns());
  }
}

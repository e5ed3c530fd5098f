package troupe.coordinator.host;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import troupe.core.checkpoint.Checkpoint;
import troupe.core.checkpoint.NamedArray;
import troupe.core.checkpoint.SafetensorsFile;
import troupe.core.checkpoint.ShardSnapshot;
import troupe.core.nn.ParameterLayout;
import troupe.core.nn.ParameterSpec;
import troupe.core.tensor.DType;

/**
 * How shards become the files of a checkpoint, and files shards:
 *
 * <pre>
 *   trunk                  the trunk's parameters under their names
 *   trunk-optimizer-rRR    adam_m and adam_v of the slice of the flat trunk that rank RR owns
 *   expert-lLL-eEEE        an expert's parameters under their names, and NAME.adam_m, NAME.adam_v
 * </pre>
 *
 * The padding of a layout is left out of files. Immutable.
 */
public final class ShardFiles {
  private static final String FIRST_MOMENT = "adam_m";
  private static final String SECOND_MOMENT = "adam_v";

  private final ShardCatalog catalog;

  /** The files of a run. */
  public ShardFiles(ShardCatalog catalog) {
    this.catalog = catalog;
  }

  /** The names of all shards of a run, as a checkpoint has them. */
  public Set<String> names() {
    return catalog.shards().stream()
        .map(ShardFiles::name)
        .collect(Collectors.toCollection(TreeSet::new));
  }

  /** The name of a shard in a checkpoint. */
  static String name(ShardId shard) {
    return switch (shard.kind()) {
      case TRUNK -> "trunk";
      case MOMENTS -> "trunk-optimizer-r%02d".formatted(shard.index());
      case EXPERT -> "expert-l%02d-e%03d".formatted(shard.layer(), shard.index());
    };
  }

  /** A copy for the checkpoint writer, which releases the caller's reference when it is done. */
  public ShardSnapshot snapshot(ShardCopy copy) {
    return snapshot(copy.shard(), copy.bytes(), copy::release);
  }

  /**
   * A shard for the checkpoint writer.
   *
   * @param bytes the whole shard; memory that any thread can read until {@code release}
   */
  public ShardSnapshot snapshot(ShardId shard, MemorySegment bytes, Runnable release) {
    return new ShardSnapshot(name(shard), arrays(shard, bytes), release);
  }

  /**
   * Reads a shard from a checkpoint.
   *
   * @param bytes where to, of the size that the catalog says
   * @throws IOException if it cannot be read, or the file is not of this run's model; {@code bytes}
   *     is unchanged then
   */
  public void read(Checkpoint checkpoint, ShardId shard, MemorySegment bytes) throws IOException {
    List<NamedArray> targets = arrays(shard, bytes);
    try (SafetensorsFile file = checkpoint.shard(name(shard))) {
      List<NamedArray> sources = new ArrayList<>();
      for (NamedArray target : targets) {
        sources.add(array(file, target));
      }
      bytes.fill((byte) 0);
      for (int i = 0; i < targets.size(); i++) {
        targets.get(i).data().copyFrom(sources.get(i).data());
      }
    }
  }

  /** Parameters by name, in canonical order, as views of a flat buffer of their layout. */
  public static List<NamedArray> named(ParameterLayout layout, DType dtype, MemorySegment flat) {
    return named(layout, dtype, flat, "");
  }

  private List<NamedArray> arrays(ShardId shard, MemorySegment bytes) {
    if (bytes.byteSize() != catalog.bytes(shard)) {
      throw new IllegalArgumentException(
          shard + ": " + bytes.byteSize() + " bytes (expected: " + catalog.bytes(shard) + ")");
    }
    return switch (shard.kind()) {
      case TRUNK -> named(catalog.layout(shard), catalog.dtype(), bytes);
      case MOMENTS ->
          List.of(flat(FIRST_MOMENT, part(bytes, 0, 2)), flat(SECOND_MOMENT, part(bytes, 1, 2)));
      case EXPERT -> {
        ParameterLayout layout = catalog.layout(shard);
        DType dtype = catalog.dtype();
        List<NamedArray> arrays = new ArrayList<>(named(layout, dtype, part(bytes, 0, 3)));
        arrays.addAll(named(layout, dtype, part(bytes, 1, 3), "." + FIRST_MOMENT));
        arrays.addAll(named(layout, dtype, part(bytes, 2, 3), "." + SECOND_MOMENT));
        yield arrays;
      }
    };
  }

  private static MemorySegment part(MemorySegment bytes, int index, int count) {
    long length = bytes.byteSize() / count;
    return bytes.asSlice(index * length, length);
  }

  private NamedArray flat(String name, MemorySegment bytes) {
    DType dtype = catalog.dtype();
    return new NamedArray(name, dtype, new long[] {bytes.byteSize() / dtype.bytes()}, bytes);
  }

  private static List<NamedArray> named(
      ParameterLayout layout, DType dtype, MemorySegment flat, String suffix) {
    List<NamedArray> arrays = new ArrayList<>();
    for (ParameterSpec spec : layout.specs()) {
      MemorySegment data =
          flat.asSlice(layout.offset(spec.name()) * dtype.bytes(), spec.size() * dtype.bytes());
      arrays.add(new NamedArray(spec.name() + suffix, dtype, spec.longShape(), data));
    }
    return arrays;
  }

  private static NamedArray array(SafetensorsFile file, NamedArray expected) throws IOException {
    NamedArray array = file.arrays().get(expected.name());
    if (array == null
        || array.dtype() != expected.dtype()
        || array.data().byteSize() != expected.data().byteSize()) {
      throw new IOException(
          expected.name()
              + ": "
              + (array == null ? "missing" : describe(array))
              + " (expected: "
              + describe(expected)
              + ")");
    }
    return array;
  }

  private static String describe(NamedArray array) {
    return array.dtype() + " of " + array.data().byteSize() + " bytes";
  }
}

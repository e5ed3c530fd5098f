package troupe.core.tensor.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import troupe.core.tensor.cuda.driver.Driver;

/**
 * Products that experts have asked for and that are done together, by {@code products.cu}: the
 * first one of each key, then the second one of each, and so on, those of a kind in one launch. So
 * the products of one key stay in order, and those of different keys must have nothing to do with
 * each other. Hopper's GPUs alone can do it. Who has several products at a time, outside of lanes,
 * has them launched at once, if they {@link #fill} the GPU.
 *
 * <p>Not for several threads: {@link Lanes} sees to that.
 */
final class GroupedProducts implements AutoCloseable {
  /** Columns that rows of all matrices must be a multiple of: 16 bytes. */
  static final int COLUMNS = 8;

  /** Bytes that all addresses must be a multiple of. */
  static final int ALIGNMENT = 16;

  private static final int HOPPER = 90;

  // As products.cu has them.
  private static final int MOST_PRODUCTS = 1024;
  private static final int FEW_PRODUCTS = 10;
  private static final int PRODUCT_BYTES = 384;
  private static final int RIGHT_PARTS = 2 * Driver.TENSOR_MAP_BYTES + 56;
  private static final int MOST_PARTS = 8;
  private static final int SUMS_BLOCK = 256;
  private static final int MAP_BYTES = Driver.TENSOR_MAP_BYTES;
  private static final int TILE = 64;
  private static final int TILE_ROWS = 128;
  private static final int TILE_COLUMNS = 256;
  private static final int BLOCK = 384;
  private static final int CLUSTER = 2;
  private static final int STAGES = 4 * 6 * 8192;
  private static final int STAGING = 8 * 2048;
  private static final int BARRIERS = 8 * Long.BYTES;
  private static final int VECTORS = 3 * 256 * Float.BYTES;
  private static final int STARTS = (MOST_PRODUCTS + 1) * Integer.BYTES;
  private static final int SHARED = 1024 + STAGES + STAGING + BARRIERS + VECTORS + STARTS;

  /** What is multiplied with what, and what then happens to it. */
  enum Kind {
    /** {@code out = left right + bias}. */
    NN("grouped_nn", false, false),
    /** {@code out = gelu(left right + bias)}; {@code more} gets what is kept of the slopes. */
    NN_GELU("grouped_nn_gelu", false, false),
    /** {@code out = left right^T}. */
    NT("grouped_nt", false, true),
    /** {@code out = (left right^T) * slopes}, those kept in {@code more}. */
    NT_TIMES("grouped_nt_times", false, true),
    /**
     * {@code out (+)= left^T right} and {@code rightSum (+)= sum over rows of right}, float32;
     * {@code squares = sums of the squares of out}.
     */
    TN("grouped_tn", true, false);

    private final String kernel;
    private final boolean transposesLeft;
    private final boolean transposesRight;

    Kind(String kernel, boolean transposesLeft, boolean transposesRight) {
      this.kernel = kernel;
      this.transposesLeft = transposesLeft;
      this.transposesRight = transposesRight;
    }
  }

  /**
   * A product of bf16 matrices.
   *
   * @param out address of {@code rows x columns}
   * @param more address of a byte for each, or 0
   * @param bias address of {@code columns} float32, or 0 for none
   * @param rightSum address of {@code columns} float32, or 0 for none
   * @param squares of {@link Kind#TN} where sums of squares of pieces of {@code out} go
   */
  record Product(
      Kind kind,
      long out,
      long more,
      int rows,
      int columns,
      int inner,
      long left,
      long right,
      long bias,
      long rightSum,
      boolean accumulate,
      long squares) {
    /** The same, and where its squares go. */
    Product withSquares(long address) {
      return new Product(
          kind, out, more, rows, columns, inner, left, right, bias, rightSum, accumulate, address);
    }

    /** Whether the kernels can do it. */
    boolean fits() {
      long addresses = out | more | left | right | bias | rightSum;
      int widths =
          columns | (kind.transposesLeft ? rows : inner) | (kind.transposesRight ? inner : columns);
      return addresses % ALIGNMENT == 0 && widths % COLUMNS == 0;
    }

    /** Of the parts in which columns of the right side are summed. */
    private long bytesOfParts() {
      int parts = Math.min(Math.ceilDiv(rows, TILE_ROWS), MOST_PARTS);
      return rightSum == 0 ? 0 : (long) parts * columns * Float.BYTES;
    }

    /** Pairs of tiles, as products.cu makes them. */
    private long pairs() {
      int down = Math.ceilDiv(rows, TILE_ROWS);
      int along = Math.ceilDiv(columns, TILE_COLUMNS);
      return (long) down / 2 * along + down % 2 * Math.ceilDiv(along, 2);
    }
  }

  /**
   * Where descriptions of products are on the host and on the GPU; reused when a launch is over.
   */
  private record Room(MemorySegment host, long device, int products, long over) {}

  /** Memory for parts of sums, which products of a stream write and add up before the next do. */
  private record Parts(long address, long bytes) {}

  private final Gpu gpu;
  private final Driver driver;
  private final Launcher launcher;
  private final Resources resources = new Resources();
  private final Arena arena = Arena.ofShared();
  private final MemorySegment map = arena.allocate(MAP_BYTES, 64);
  private final MemorySegment scratch = arena.allocate(Driver.TENSOR_SCRATCH_BYTES, Long.BYTES);

  /** Descriptions that go with a launch, without a copy before it. */
  private final MemorySegment few = arena.allocate(FEW_PRODUCTS * PRODUCT_BYTES, 128);

  private final Map<Long, Parts> partsOfStream = new HashMap<>();

  private final ArrayDeque<Room> used = new ArrayDeque<>();
  private final Map<Integer, List<Product>> waiting = new LinkedHashMap<>();

  private GroupedProducts(Gpu gpu, Launcher launcher) {
    this.gpu = gpu;
    this.driver = gpu.driver();
    this.launcher = launcher;
    resources.onClose(arena::close);
  }

  /** Has the lanes of a GPU put products off, if it can do them together. */
  static GroupedProducts of(Gpu gpu, Launcher launcher) {
    GroupedProducts products = new GroupedProducts(gpu, launcher);
    if (gpu.capability() == HOPPER && !Boolean.getBoolean("troupe.cuda.ungrouped")) {
      gpu.lanes().gatherFor(products);
    }
    return products;
  }

  /**
   * Whether products of one inner size keep the multiprocessors busy for three quarters of the time
   * that a launch of them takes: that of one pair of tiles, times the pairs that the busiest
   * cluster has, for no sum is split. cuBLASLt splits long ones, so it fills a GPU whatever the
   * shape; but it has bias gradients summed besides: 0.47 ms for qkv and proj of d 1024 and 32,768
   * tokens on an H200, where these products alone take 0.36 in one launch. Shapes and the kind of
   * GPU decide alone, so that the bits do not depend on anything else.
   */
  static boolean fill(List<Product> products, int multiprocessors) {
    long clusters = multiprocessors / CLUSTER;
    long pairs = products.stream().mapToLong(Product::pairs).sum();
    return 4 * pairs >= 3 * clusters * Math.ceilDiv(pairs, clusters);
  }

  boolean isEmpty() {
    return waiting.isEmpty();
  }

  /** Of how many keys products wait. */
  int keys() {
    return waiting.size();
  }

  /** Whether all that waits is of this key. */
  boolean isOf(int key) {
    return waiting.size() == 1 && waiting.containsKey(key);
  }

  /** Has a product wait for others. */
  void add(int key, Product product) {
    waiting.computeIfAbsent(key, it -> new ArrayList<>()).add(product);
  }

  /** Queues all that waits. */
  void launch(long stream) {
    List<List<Product>> keys = List.copyOf(waiting.values());
    waiting.clear();
    int places = keys.stream().mapToInt(List::size).max().orElse(0);
    for (int i = 0; i < places; i++) {
      int place = i;
      launch(
          keys.stream()
              .filter(ofKey -> place < ofKey.size())
              .map(ofKey -> ofKey.get(place))
              .toList(),
          stream);
    }
  }

  /** Queues products that have nothing to do with each other. */
  void launch(List<Product> products, long stream) {
    Map<Kind, List<Product>> kinds = new EnumMap<>(Kind.class);
    for (Product product : products) {
      kinds.computeIfAbsent(product.kind(), it -> new ArrayList<>()).add(product);
    }
    kinds.forEach((kind, ofKind) -> launch(kind, ofKind, stream));
  }

  private void launch(Kind kind, List<Product> products, long stream) {
    for (int from = 0; from < products.size(); from += MOST_PRODUCTS) {
      List<Product> some = products.subList(from, Math.min(products.size(), from + MOST_PRODUCTS));
      long parts = partsOfSums(some, stream);
      if (some.size() <= FEW_PRODUCTS) {
        write(few, some, parts);
        launch(kind, 0, some, stream);
        continue;
      }
      Room room = room(some.size());
      write(room.host(), some, parts);
      driver.copyToDevice(
          room.device(), room.host().address(), (long) some.size() * PRODUCT_BYTES, stream);
      launch(kind, room.device(), some, stream);
      driver.record(room.over(), stream);
      used.add(room);
    }
  }

  /** Launches what is described in {@link #few}, or at an address that is not 0. */
  private void launch(Kind kind, long many, List<Product> products, long stream) {
    // One block a multiprocessor, in pairs.
    Grid grid = Grid.line((long) gpu.multiprocessors() / CLUSTER * CLUSTER, BLOCK, SHARED);
    launcher.launchIn(stream, kind.kernel, grid, few, many, products.size());
    if (products.stream().anyMatch(product -> product.rightSum() != 0)) {
      int columns = products.stream().mapToInt(Product::columns).max().getAsInt();
      launcher.launchIn(
          stream,
          "grouped_tn_sums",
          Grid.plane(Math.ceilDiv(columns, SUMS_BLOCK), products.size(), SUMS_BLOCK),
          few,
          many);
    }
  }

  /** Where parts of the sums of right sides go, of all these products; 0 where none are wanted. */
  private long partsOfSums(List<Product> products, long stream) {
    long bytes = products.stream().mapToLong(Product::bytesOfParts).sum();
    if (bytes == 0) {
      return 0;
    }
    Parts parts = partsOfStream.get(stream);
    if (parts == null || parts.bytes() < bytes) {
      long room = Math.max(1 << 20, Long.highestOneBit(bytes) * 2);
      // What it replaces is freed with everything else: work that was queued may need it.
      parts = new Parts(gpu.memory().allocateNow(room, "sums of products' columns"), room);
      long address = parts.address();
      resources.onClose(() -> driver.freeNow(address));
      partsOfStream.put(stream, parts);
    }
    return parts.address();
  }

  private void write(MemorySegment to, List<Product> products, long parts) {
    long at = 0;
    for (Product product : products) {
      write(to.asSlice(at, PRODUCT_BYTES), product);
      to.set(ValueLayout.JAVA_LONG, at + RIGHT_PARTS, parts);
      parts += product.bytesOfParts();
      at += PRODUCT_BYTES;
    }
  }

  private void write(MemorySegment to, Product product) {
    boolean downLeft = product.kind().transposesLeft;
    boolean alongRight = product.kind().transposesRight;
    int rows = product.rows();
    int columns = product.columns();
    int inner = product.inner();
    if (inner > 0) {
      map(to, 0, product.left(), downLeft ? inner : rows, downLeft ? rows : inner);
      map(
          to,
          MAP_BYTES,
          product.right(),
          alongRight ? columns : inner,
          alongRight ? inner : columns);
    }
    long at = 2L * MAP_BYTES;
    to.set(ValueLayout.JAVA_LONG, at, product.out());
    to.set(ValueLayout.JAVA_LONG, at + 8, product.more());
    to.set(ValueLayout.JAVA_LONG, at + 16, product.bias());
    to.set(ValueLayout.JAVA_LONG, at + 24, product.rightSum());
    to.set(ValueLayout.JAVA_INT, at + 32, rows);
    to.set(ValueLayout.JAVA_INT, at + 36, columns);
    to.set(ValueLayout.JAVA_INT, at + 40, inner);
    to.set(ValueLayout.JAVA_INT, at + 44, product.accumulate() ? 1 : 0);
    to.set(ValueLayout.JAVA_LONG, at + 48, product.squares());
  }

  private void map(MemorySegment to, long at, long address, int rows, int columns) {
    driver.encodeTensorMap(map, scratch, address, rows, columns, TILE);
    MemorySegment.copy(map, 0, to, at, MAP_BYTES);
  }

  /** Room that no launch needs any more. */
  private Room room(int products) {
    for (Room room : used) {
      if (room.products() >= products) {
        if (!gpu.isDone(room.over())) {
          break;
        }
        used.remove(room);
        return room;
      }
    }
    int count = Math.max(16, Integer.highestOneBit(Math.max(1, products - 1)) * 2);
    long bytes = (long) count * PRODUCT_BYTES;
    String purpose = "descriptions of " + count + " products";
    MemorySegment host = gpu.memory().allocateHost(bytes, purpose);
    resources.onClose(() -> driver.freeHost(host));
    // Not the pool's: it is there at once, in whatever stream.
    long device = gpu.memory().allocateNow(bytes, purpose);
    resources.onClose(() -> driver.freeNow(device));
    long over = driver.createEvent(false);
    resources.onClose(() -> driver.destroyEvent(over));
    return new Room(host, device, count, over);
  }

  @Override
  public void close() {
    gpu.enter();
    resources.close();
  }
}

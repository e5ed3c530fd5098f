package troupe.core.tensor.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import troupe.core.tensor.DType;
import troupe.core.tensor.cuda.driver.BlasLt;
import troupe.core.tensor.cuda.driver.CudaException;

/**
 * Matrix products by cuBLASLt: bf16 in, float32 accumulation, bf16 or float32 out. The library is
 * column-major and we are row-major, so it is given {@code out^T = op(b)^T op(a)^T}.
 *
 * <p>Which algorithm runs depends on the shape alone, never on what was multiplied before: the
 * numbers of rows that experts get differ in every step, and asking the library's heuristic for
 * each would cost more than the launch. They share the algorithm of the next larger size in {@link
 * #bucket}.
 */
final class MatrixProducts implements AutoCloseable {
  private static final long WORKSPACE_BYTES = 32L << 20;
  private static final int BEST_ALIGNMENT = 16;
  private static final int MOST_LAYOUTS = 16_384;

  /**
   * A product of row-major matrices.
   *
   * @param out address of {@code rows x columns}
   * @param c address of what is added, of the type and shape of {@code out}; 0 for nothing
   * @param bias address of a bf16 vector of {@code columns}; 0 for none
   */
  record Product(
      long out,
      DType outType,
      int rows,
      int columns,
      int inner,
      long a,
      boolean transposeA,
      long b,
      boolean transposeB,
      long c,
      long bias) {
    /** What a profile calls it: by the sizes that are the model's, not the batch's. */
    String label() {
      return transposeA
          ? "product T " + rows + " x " + columns
          : "product " + (transposeB ? "NT " : "NN ") + columns + " x " + inner;
    }
  }

  /**
   * @param alignment bytes that every address is a multiple of
   */
  private record AlgorithmKey(
      boolean transposeA,
      boolean transposeB,
      DType type,
      boolean bias,
      int m,
      int n,
      int k,
      int alignment) {
    /** Sizes that no row is as long as are rounded up: they do not decide how memory is aligned. */
    static AlgorithmKey rounded(Product product) {
      return of(
          product,
          product.transposeA() ? product.rows() : bucket(product.rows()),
          product.transposeA() && !product.transposeB()
              ? bucket(product.inner())
              : product.inner());
    }

    static AlgorithmKey exact(Product product) {
      return of(product, product.rows(), product.inner());
    }

    private static AlgorithmKey of(Product product, int m, int k) {
      return new AlgorithmKey(
          product.transposeA(),
          product.transposeB(),
          product.outType(),
          product.bias() != 0,
          m,
          product.columns(),
          k,
          alignmentOf(product.out() | product.a() | product.b() | product.c() | product.bias()));
    }

    private static int alignmentOf(long addresses) {
      return (int) Math.min(BEST_ALIGNMENT, Long.lowestOneBit(addresses));
    }
  }

  private record LayoutKey(int type, int rows, int columns) {}

  private record Shape(boolean transposeA, boolean transposeB, boolean bias) {}

  private final Gpu gpu;
  private final GpuTimeline timeline;
  private final BlasLt blas;

  /** One a stream: products side by side must not share it. */
  private final Map<Long, Long> workspaces = new HashMap<>();

  private final Arena arena = Arena.ofShared();
  private final long one = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 1).address();
  private final long zero = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 0).address();
  private final Map<AlgorithmKey, MemorySegment> algorithms = new HashMap<>();
  private final Map<Shape, Long> descriptions = new HashMap<>();
  private final Map<LayoutKey, Long> layouts =
      new LinkedHashMap<>(64, 0.75f, true) {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<LayoutKey, Long> eldest) {
          boolean full = size() > MOST_LAYOUTS;
          if (full) {
            blas.destroyLayout(eldest.getValue());
          }
          return full;
        }
      };

  MatrixProducts(Gpu gpu, GpuTimeline timeline, BlasLt blas) {
    this.gpu = gpu;
    this.timeline = timeline;
    this.blas = blas;
  }

  /** Queues a product. An empty one is the caller's to deal with. */
  void multiply(Product product) {
    gpu.queue(stream -> multiply(product, stream));
  }

  private synchronized void multiply(Product product, long stream) {
    boolean bias = product.bias() != 0;
    long description =
        descriptions.computeIfAbsent(
            new Shape(product.transposeA(), product.transposeB(), bias), this::describe);
    if (bias) {
      blas.bias(description, product.bias(), BlasLt.BF16);
    }
    int type = product.outType() == DType.BF16 ? BlasLt.BF16 : BlasLt.F32;
    long aLayout = operand(product.rows(), product.inner(), product.transposeA());
    long bLayout = operand(product.inner(), product.columns(), product.transposeB());
    long cLayout = layout(type, product.rows(), product.columns());
    Call call = new Call(description, product, aLayout, bLayout, cLayout, stream);
    AlgorithmKey rounded = AlgorithmKey.rounded(product);
    try {
      multiply(call, algorithm(rounded, description, type));
    } catch (CudaException e) {
      // What is best for the next larger size may not do this one: seen for products of one row.
      AlgorithmKey exact = AlgorithmKey.exact(product);
      if (e.isLost() || exact.equals(rounded)) {
        throw e;
      }
      multiply(call, algorithm(exact, description, type));
    }
  }

  private record Call(long description, Product product, long a, long b, long c, long stream) {}

  private MemorySegment algorithm(AlgorithmKey key, long description, int type) {
    return algorithms.computeIfAbsent(key, wanted -> best(wanted, description, type));
  }

  private void multiply(Call call, MemorySegment algorithm) {
    Product product = call.product();
    boolean adds = product.c() != 0;
    long stream = call.stream();
    long workspace =
        workspaces.computeIfAbsent(
            stream, its -> gpu.memory().allocate(WORKSPACE_BYTES, stream, () -> "workspace"));
    timeline.time(
        product.label(),
        stream,
        () ->
            blas.multiply(
                call.description(),
                one,
                product.b(),
                call.b(),
                product.a(),
                call.a(),
                adds ? one : zero,
                adds ? product.c() : product.out(),
                product.out(),
                call.c(),
                algorithm.address(),
                workspace,
                WORKSPACE_BYTES,
                stream));
  }

  private long describe(Shape shape) {
    // Column-major: the second operand comes first, each as its own transpose.
    return blas.createProduct(shape.transposeB(), shape.transposeA(), shape.bias());
  }

  /** The memory of {@code op(x)} of these dimensions, row-major, seen as column-major. */
  private long operand(int rows, int columns, boolean transposed) {
    return transposed ? layout(BlasLt.BF16, columns, rows) : layout(BlasLt.BF16, rows, columns);
  }

  private long layout(int type, int rows, int columns) {
    return layouts.computeIfAbsent(
        new LayoutKey(type, rows, columns), key -> blas.createLayout(type, columns, rows, columns));
  }

  private MemorySegment best(AlgorithmKey key, long description, int type) {
    long a = operand(key.m(), key.k(), key.transposeA());
    long b = operand(key.k(), key.n(), key.transposeB());
    long c = layout(type, key.m(), key.n());
    byte[] algorithms = blas.algorithms(description, b, a, c, WORKSPACE_BYTES, key.alignment(), 1);
    if (algorithms.length == 0) {
      throw new CudaException("cublasLt: no algorithm for " + key + " (expected: one)", -1);
    }
    return arena.allocateFrom(ValueLayout.JAVA_BYTE, algorithms);
  }

  /** The size whose algorithm serves: itself when small, else within a quarter. */
  static int bucket(int size) {
    int step = Math.max(8, Integer.highestOneBit(Math.max(1, size - 1)) / 4);
    return Math.ceilDiv(size, step) * step;
  }

  @Override
  public void close() {
    gpu.enter();
    Resources all = new Resources();
    all.onClose(arena::close);
    all.onClose(blas::close);
    layouts.values().forEach(layout -> all.onClose(() -> blas.destroyLayout(layout)));
    descriptions.values().forEach(product -> all.onClose(() -> blas.destroyProduct(product)));
    workspaces.values().forEach(workspace -> all.onClose(() -> gpu.memory().free(workspace)));
    all.close();
  }
}

package troupe.core.tensor.cuda.driver;

import static troupe.core.tensor.cuda.driver.NativeLibrary.INT;
import static troupe.core.tensor.cuda.driver.NativeLibrary.LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** cuBLASLt, as far as Troupe uses it. Descriptors of products and matrices are addresses. */
public final class BlasLt {
  /** bfloat16 elements. */
  public static final int BF16 = 14;

  /** float32 elements. */
  public static final int F32 = 0;

  /** Bytes of an algorithm as the heuristic returns it. */
  public static final long ALGORITHM_BYTES = 64;

  private static final int COMPUTE_F32 = 68;
  private static final int DESC_TRANSPOSE_A = 3;
  private static final int DESC_TRANSPOSE_B = 4;
  private static final int DESC_EPILOGUE = 7;
  private static final int DESC_BIAS_POINTER = 8;
  private static final int DESC_BIAS_TYPE = 26;
  private static final int EPILOGUE_BIAS = 4;
  private static final int PREFERENCE_WORKSPACE = 1;
  private static final int PREFERENCE_FIRST_ALIGNMENT = 5;
  private static final int PREFERENCE_LAST_ALIGNMENT = 8;
  private static final long RESULT_BYTES = 96;

  /** Major, minor and patch are properties 0, 1 and 2 (libraryPropertyType). */
  private static final int VERSION_PARTS = 3;

  private static final Calls CALLS = new Calls(BlasLt::words);

  private final MethodHandle create;
  private final MethodHandle destroy;
  private final MethodHandle descCreate;
  private final MethodHandle descSet;
  private final MethodHandle descDestroy;
  private final MethodHandle layoutCreate;
  private final MethodHandle layoutDestroy;
  private final MethodHandle preferenceCreate;
  private final MethodHandle preferenceSet;
  private final MethodHandle preferenceDestroy;
  private final MethodHandle heuristic;
  private final MethodHandle matmul;
  private final long handle;

  BlasLt(Functions library) {
    create = library.function("cublasLtCreate", LONG);
    destroy = library.function("cublasLtDestroy", LONG);
    descCreate = library.function("cublasLtMatmulDescCreate", LONG, INT, INT);
    descSet = library.function("cublasLtMatmulDescSetAttribute", LONG, INT, LONG, LONG);
    descDestroy = library.function("cublasLtMatmulDescDestroy", LONG);
    layoutCreate = library.function("cublasLtMatrixLayoutCreate", LONG, INT, LONG, LONG, LONG);
    layoutDestroy = library.function("cublasLtMatrixLayoutDestroy", LONG);
    preferenceCreate = library.function("cublasLtMatmulPreferenceCreate", LONG);
    preferenceSet = library.function("cublasLtMatmulPreferenceSetAttribute", LONG, INT, LONG, LONG);
    preferenceDestroy = library.function("cublasLtMatmulPreferenceDestroy", LONG);
    heuristic =
        library.function(
            "cublasLtMatmulAlgoGetHeuristic",
            LONG,
            LONG,
            LONG,
            LONG,
            LONG,
            LONG,
            LONG,
            INT,
            LONG,
            LONG);
    matmul =
        library.function(
            "cublasLtMatmul",
            LONG,
            LONG,
            LONG,
            LONG,
            LONG,
            LONG,
            LONG,
            LONG,
            LONG,
            LONG,
            LONG,
            LONG,
            LONG,
            LONG,
            LONG,
            LONG);
    handle = CALLS.longOf("cublasLtCreate", result -> (int) create.invokeExact(result));
  }

  private static String words(int status) {
    return switch (status) {
      case 1 -> "CUBLAS_STATUS_NOT_INITIALIZED";
      case 3 -> "CUBLAS_STATUS_ALLOC_FAILED";
      case 7 -> "CUBLAS_STATUS_INVALID_VALUE";
      case 8 -> "CUBLAS_STATUS_ARCH_MISMATCH";
      case 13 -> "CUBLAS_STATUS_EXECUTION_FAILED";
      case 14 -> "CUBLAS_STATUS_INTERNAL_ERROR";
      case 15 -> "CUBLAS_STATUS_NOT_SUPPORTED";
      default -> "status " + status;
    };
  }

  /** The version of a library, such as {@code 13.1.0}; needs neither a GPU nor its driver. */
  static String version(Functions library) {
    MethodHandle getProperty = library.function("cublasLtGetProperty", INT, LONG);
    return IntStream.range(0, VERSION_PARTS)
        .mapToLong(
            part ->
                CALLS.longOf(
                    "cublasLtGetProperty", result -> (int) getProperty.invokeExact(part, result)))
        .mapToObj(Long::toString)
        .collect(Collectors.joining("."));
  }

  /**
   * A product with float32 accumulation, of column-major matrices.
   *
   * @param bias whether a vector is added to every column: see {@link #bias}
   */
  public long createProduct(boolean transposeA, boolean transposeB, boolean bias) {
    long product =
        CALLS.longOf(
            "cublasLtMatmulDescCreate",
            result -> (int) descCreate.invokeExact(result, COMPUTE_F32, F32));
    try {
      setInt(product, DESC_TRANSPOSE_A, transposeA ? 1 : 0);
      setInt(product, DESC_TRANSPOSE_B, transposeB ? 1 : 0);
      if (bias) {
        setInt(product, DESC_EPILOGUE, EPILOGUE_BIAS);
      }
      return product;
    } catch (CudaException e) {
      destroyProduct(product);
      throw e;
    }
  }

  /** Frees the description of a product. */
  public void destroyProduct(long product) {
    CALLS.run("cublasLtMatmulDescDestroy", () -> (int) descDestroy.invokeExact(product));
  }

  /** The vector that a product adds to every column. */
  public void bias(long product, long address, int type) {
    setLong(product, DESC_BIAS_POINTER, address);
    setInt(product, DESC_BIAS_TYPE, type);
  }

  private void setInt(long product, int attribute, int value) {
    try (Arena arena = Arena.ofConfined()) {
      set(product, attribute, arena.allocateFrom(ValueLayout.JAVA_INT, value));
    }
  }

  private void setLong(long product, int attribute, long value) {
    try (Arena arena = Arena.ofConfined()) {
      set(product, attribute, arena.allocateFrom(ValueLayout.JAVA_LONG, value));
    }
  }

  private void set(long product, int attribute, MemorySegment value) {
    CALLS.run(
        "cublasLtMatmulDescSetAttribute",
        () -> (int) descSet.invokeExact(product, attribute, value.address(), value.byteSize()));
  }

  /** A column-major matrix. */
  public long createLayout(int type, long rows, long columns, long leadingDimension) {
    return CALLS.longOf(
        "cublasLtMatrixLayoutCreate",
        result -> (int) layoutCreate.invokeExact(result, type, rows, columns, leadingDimension));
  }

  /** Frees a matrix description. */
  public void destroyLayout(long layout) {
    CALLS.run("cublasLtMatrixLayoutDestroy", () -> (int) layoutDestroy.invokeExact(layout));
  }

  /**
   * The fastest algorithms for a product by the library's own heuristic, best first.
   *
   * @param alignment bytes that all addresses are a multiple of
   * @param most how many at most
   * @return algorithms of {@link #ALGORITHM_BYTES} each, one behind the other; empty if none fits
   */
  public byte[] algorithms(
      long product, long a, long b, long c, long workspaceBytes, int alignment, int most) {
    long preference =
        CALLS.longOf(
            "cublasLtMatmulPreferenceCreate", result -> (int) preferenceCreate.invokeExact(result));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocateFrom(ValueLayout.JAVA_LONG, workspaceBytes);
      prefer(preference, PREFERENCE_WORKSPACE, bytes);
      MemorySegment least = arena.allocateFrom(ValueLayout.JAVA_INT, alignment);
      for (int i = PREFERENCE_FIRST_ALIGNMENT; i <= PREFERENCE_LAST_ALIGNMENT; i++) {
        prefer(preference, i, least);
      }
      MemorySegment results = arena.allocate(RESULT_BYTES * most, 8);
      MemorySegment count = arena.allocate(ValueLayout.JAVA_INT);
      int status =
          Calls.status(
              () ->
                  (int)
                      heuristic.invokeExact(
                          handle,
                          product,
                          a,
                          b,
                          c,
                          c,
                          preference,
                          most,
                          results.address(),
                          count.address()));
      int found = status == 0 ? count.get(ValueLayout.JAVA_INT, 0) : 0;
      byte[] algorithms = new byte[(int) (found * ALGORITHM_BYTES)];
      for (int i = 0; i < found; i++) {
        MemorySegment.copy(
            results,
            ValueLayout.JAVA_BYTE,
            i * RESULT_BYTES,
            algorithms,
            (int) (i * ALGORITHM_BYTES),
            (int) ALGORITHM_BYTES);
      }
      return algorithms;
    } finally {
      CALLS.run(
          "cublasLtMatmulPreferenceDestroy", () -> (int) preferenceDestroy.invokeExact(preference));
    }
  }

  private void prefer(long preference, int attribute, MemorySegment value) {
    CALLS.run(
        "cublasLtMatmulPreferenceSetAttribute",
        () ->
            (int)
                preferenceSet.invokeExact(
                    preference, attribute, value.address(), value.byteSize()));
  }

  /**
   * Queues {@code d = alpha * op(a) op(b) + beta * c}; {@code alpha} and {@code beta} are
   * addresses.
   */
  public void multiply(
      long product,
      long alpha,
      long a,
      long aLayout,
      long b,
      long bLayout,
      long beta,
      long c,
      long d,
      long cLayout,
      long algorithm,
      long workspace,
      long workspaceBytes,
      long stream) {
    CALLS.run(
        "cublasLtMatmul",
        () ->
            (int)
                matmul.invokeExact(
                    handle,
                    product,
                    alpha,
                    a,
                    aLayout,
                    b,
                    bLayout,
                    beta,
                    c,
                    cLayout,
                    d,
                    cLayout,
                    algorithm,
                    workspace,
                    workspaceBytes,
                    stream));
  }

  /** Frees the library's own resources in the current context. */
  public void close() {
    CALLS.run("cublasLtDestroy", () -> (int) destroy.invokeExact(handle));
  }
}

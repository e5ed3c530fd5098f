package troupe.core.tensor.probe;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.TimeUnit;
import jdk.incubator.vector.FloatVector;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.openblas.global.openblas_nolapack;

/** Facts and quick measurements of the CPU; each measurement takes a few tenths of a second. */
public final class CpuProbe {
  /** The shape of an expert's product in the CPU benchmark: rows, inner width, columns. */
  private static final int M = 1024;

  private static final int K = 256;
  private static final int N = 1024;
  private static final long COPY_BYTES = 64L << 20;
  private static final long BUDGET_NS = TimeUnit.MILLISECONDS.toNanos(300);
  private static final int MIN_RUNS = 3;

  private CpuProbe() {}

  /**
   * The library of matrix products.
   *
   * @param version as the library writes it, with its build options
   * @param core the processor family whose kernels it chose
   */
  public record Blas(String version, String core) {}

  /** Bits of the widest vector that the Vector API prefers here. */
  public static int simdBits() {
    return FloatVector.SPECIES_PREFERRED.vectorBitSize();
  }

  /**
   * Loads OpenBLAS and asks what it is.
   *
   * @throws LinkageError if the library cannot be loaded on this machine
   */
  public static Blas blas() {
    Loader.load(openblas_nolapack.class);
    return new Blas(ask("openblas_get_config"), ask("openblas_get_corename"));
  }

  /**
   * The best rate of a 1024 x 256 x 1024 matrix product in single precision, in GFLOP/s.
   *
   * @param threads threads inside the library
   * @throws LinkageError if the library cannot be loaded on this machine
   */
  public static double matmulGflops(int threads) {
    Loader.load(openblas_nolapack.class);
    int threadsBefore = openblas_nolapack.blas_get_num_threads();
    openblas_nolapack.blas_set_num_threads(threads);
    try (FloatPointer a = new FloatPointer((long) M * K).fill(1);
        FloatPointer b = new FloatPointer((long) K * N).fill(1);
        FloatPointer c = new FloatPointer((long) M * N)) {
      long bestNs =
          best(
              () ->
                  openblas_nolapack.cblas_sgemm(
                      openblas_nolapack.CblasRowMajor,
                      openblas_nolapack.CblasNoTrans,
                      openblas_nolapack.CblasNoTrans,
                      M,
                      N,
                      K,
                      1,
                      a,
                      K,
                      b,
                      N,
                      0,
                      c,
                      N));
      return 2.0 * M * N * K / bestNs;
    } finally {
      openblas_nolapack.blas_set_num_threads(threadsBefore);
    }
  }

  /** The best rate at which one thread copies 64 MiB, in GB/s of memory read and written. */
  public static double copyGigabytesPerSecond() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment from = arena.allocate(COPY_BYTES, Long.BYTES);
      MemorySegment to = arena.allocate(COPY_BYTES, Long.BYTES);
      return 2.0 * COPY_BYTES / best(() -> to.copyFrom(from));
    }
  }

  private static long best(Runnable work) {
    long start = System.nanoTime();
    long bestNs = Long.MAX_VALUE;
    long now = start;
    for (int run = 0; run < MIN_RUNS || now - start < BUDGET_NS; run++) {
      work.run();
      long then = now;
      now = System.nanoTime();
      bestNs = Math.min(bestNs, Math.max(1, now - then));
    }
    return bestNs;
  }

  /** Calls a function of OpenBLAS that returns text; JavaCPP has no wrappers for these. */
  private static String ask(String function) {
    MemorySegment address =
        SymbolLookup.loaderLookup()
            .find(function)
            .orElseThrow(() -> new UnsatisfiedLinkError(function));
    try {
      MemorySegment text =
          (MemorySegment)
              Linker.nativeLinker()
                  .downcallHandle(address, FunctionDescriptor.of(ValueLayout.ADDRESS))
                  .invokeExact();
      return text.reinterpret(Long.MAX_VALUE).getString(0).strip();
    } catch (Throwable e) {
      throw new IllegalStateException(function, e);
    }
  }
}

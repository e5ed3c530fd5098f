package troupe.core.tensor.cpu;

import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.openblas.global.openblas_nolapack;

/** OpenBLAS's single-precision matrix product over addresses. */
final class Blas {
  private static final ThreadLocal<Operands> OPERANDS = ThreadLocal.withInitial(Operands::new);

  private Blas() {}

  /**
   * Keeps every product on its caller's thread: parallelism comes from many callers, and a sum
   * split over a number of threads would depend on that number.
   */
  static void useOneThread() {
    openblas_nolapack.blas_set_num_threads(1);
  }

  /**
   * {@code c_MN = alpha op(a) op(b) + beta c}, all row-major, {@code ld*} being the distance of
   * rows in elements.
   */
  static void sgemm(
      int m,
      int n,
      int k,
      float alpha,
      long a,
      int lda,
      boolean transposeA,
      long b,
      int ldb,
      boolean transposeB,
      float beta,
      long c,
      int ldc) {
    Operands operands = OPERANDS.get();
    openblas_nolapack.cblas_sgemm(
        openblas_nolapack.CblasRowMajor,
        transposeA ? openblas_nolapack.CblasTrans : openblas_nolapack.CblasNoTrans,
        transposeB ? openblas_nolapack.CblasTrans : openblas_nolapack.CblasNoTrans,
        m,
        n,
        k,
        alpha,
        operands.a.at(a),
        lda,
        operands.b.at(b),
        ldb,
        beta,
        operands.c.at(c),
        ldc);
  }

  /** The pointers of one thread, used again for every call. */
  private static final class Operands {
    private final Address a = new Address();
    private final Address b = new Address();
    private final Address c = new Address();
  }

  /** A pointer that can be pointed anywhere. */
  private static final class Address extends FloatPointer {
    private Address() {
      super((FloatPointer) null);
    }

    private Address at(long to) {
      address = to;
      return this;
    }
  }
}

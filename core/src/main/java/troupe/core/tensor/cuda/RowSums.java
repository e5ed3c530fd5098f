package troupe.core.tensor.cuda;

import static troupe.core.tensor.cuda.Operands.f32;
import static troupe.core.tensor.cuda.Operands.in;
import static troupe.core.tensor.cuda.Operands.isBf16;
import static troupe.core.tensor.cuda.Operands.out;
import static troupe.core.tensor.cuda.Operands.typed;

import troupe.core.tensor.Tensor;

/** Sums over rows: of some rows each side by side, then over those parts. */
final class RowSums {
  private RowSums() {}

  /** How many parts the rows are cut into, where blocks take strips of columns. */
  static int parts(int rows, int strips) {
    return Math.min(Math.ceilDiv(rows, 64), Math.ceilDiv(1056, strips));
  }

  /** {@code out = sum over rows of x}, or {@code out += }. */
  static void sum(CudaDevice device, Tensor out_1C, Tensor x_RC, boolean accumulate) {
    f32("out_1C", out_1C);
    int columns = x_RC.columns();
    if (x_RC.rows() == 0) {
      if (!accumulate) {
        device.zero(out(out_1C), out_1C.size() * out_1C.dtype().bytes());
      }
      return;
    }
    int strips = Math.ceilDiv(columns, isBf16(x_RC) ? 256 : 128);
    int parts = parts(x_RC.rows(), strips);
    try (Tensor partial = device.allocate(parts, columns)) {
      device
          .launcher()
          .launch(
              typed("sum_rows", x_RC),
              Grid.plane(strips, parts, 256),
              out(partial),
              in(x_RC),
              x_RC.rows(),
              columns,
              parts);
      add(device, out_1C, in(partial), parts, columns, accumulate);
    }
  }

  /**
   * {@code out = sum over parts}, or {@code out += }.
   *
   * @param partial address of {@code parts x columns} float32
   */
  static void add(
      CudaDevice device, Tensor out, long partial, int parts, int columns, boolean accumulate) {
    addParts(device, out(out), out(out), columns, partial, parts, columns, accumulate);
  }

  /**
   * {@code out += sum over parts} of the first half of the columns, {@code rest +=} of the other.
   */
  static void addHalves(CudaDevice device, Tensor out, Tensor rest, long partial, int parts) {
    f32("out", out);
    f32("rest", rest);
    int half = out.columns();
    addParts(device, out(out), out(rest), half, partial, parts, 2 * half, true);
  }

  private static void addParts(
      CudaDevice device,
      long out,
      long rest,
      int split,
      long partial,
      int parts,
      int columns,
      boolean accumulate) {
    device
        .launcher()
        .launch(
            "sum_parts",
            Grid.line(Math.ceilDiv(columns, 32), 1024),
            out,
            rest,
            split,
            partial,
            parts,
            columns,
            accumulate ? 1 : 0);
  }
}

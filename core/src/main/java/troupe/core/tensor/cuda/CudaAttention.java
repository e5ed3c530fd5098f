package troupe.core.tensor.cuda;

import troupe.core.tensor.Tensor;

/**
 * The kernels of {@code attention.cu}: see there for launches. They know heads of 64 and 128
 * channels; smaller ones are padded.
 */
final class CudaAttention {
  private static final int SMALL = 64;
  private static final int LARGE = 128;

  private final CudaDevice device;
  private final Launcher launcher;

  CudaAttention(CudaDevice device) {
    this.device = device;
    this.launcher = device.launcher();
  }

  /**
   * {@code batch} sequences of {@code seq} tokens, {@code heads} heads of {@code size} channels.
   *
   * @throws IllegalArgumentException if heads are larger than the kernels can have them
   */
  record Shape(int batch, int seq, int heads, int size) {
    Shape {
      if (size > LARGE) {
        throw new IllegalArgumentException(
            "head size: " + size + " (expected: <= " + LARGE + " on a GPU; more model.heads)");
      }
    }

    int padded() {
      return size <= SMALL ? SMALL : LARGE;
    }

    long tokens() {
      return (long) batch * seq;
    }

    /**
     * What queries are multiplied by, since the kernels divide scores by the root of the padded
     * size.
     */
    float queryFactor() {
      return (float) Math.sqrt((double) padded() / size);
    }

    long blocks(int rows) {
      return (long) batch * heads * Math.ceilDiv(seq, rows);
    }

    String suffix() {
      return "_" + padded();
    }
  }

  void forward(long out, long lse, long qkv, Shape shape) {
    if (shape.size() == shape.padded()) {
      forwardPadded(out, lse, qkv, shape);
      return;
    }
    try (Tensor wideQkv = wide(shape, 3);
        Tensor wideOut = wide(shape, 1)) {
      pad(address(wideQkv), qkv, 3, shape, shape.queryFactor());
      forwardPadded(address(wideOut), lse, address(wideQkv), shape);
      cut(out, address(wideOut), 1, shape, 1);
    }
  }

  private void forwardPadded(long out, long lse, long qkv, Shape shape) {
    launcher.launch(
        "attention_forward" + shape.suffix(),
        Grid.line(shape.blocks(128), 256, shape.padded() == SMALL ? 81_920 : 98_304),
        out,
        lse,
        qkv,
        shape.batch(),
        shape.seq(),
        shape.heads());
  }

  void backward(long dQkv, long dOut, long qkv, long out, long lse, Shape shape) {
    if (shape.size() == shape.padded()) {
      backwardPadded(dQkv, dOut, qkv, out, lse, shape);
      return;
    }
    try (Tensor wideQkv = wide(shape, 3);
        Tensor wideOut = wide(shape, 1);
        Tensor wideDOut = wide(shape, 1);
        Tensor wideDQkv = wide(shape, 3)) {
      pad(address(wideQkv), qkv, 3, shape, shape.queryFactor());
      pad(address(wideOut), out, 1, shape, 1);
      pad(address(wideDOut), dOut, 1, shape, 1);
      backwardPadded(
          address(wideDQkv), address(wideDOut), address(wideQkv), address(wideOut), lse, shape);
      cut(dQkv, address(wideDQkv), 3, shape, shape.queryFactor());
    }
  }

  private void backwardPadded(long dQkv, long dOut, long qkv, long out, long lse, Shape shape) {
    boolean small = shape.padded() == SMALL;
    long rows = shape.tokens() * shape.heads();
    try (Tensor delta = device.allocate(shape.batch() * shape.heads(), shape.seq())) {
      launcher.launch(
          "attention_delta" + shape.suffix(),
          Grid.line(Math.ceilDiv(rows, small ? 32 : 16), 256),
          address(delta),
          dOut,
          out,
          shape.batch(),
          shape.seq(),
          shape.heads());
      launcher.launch(
          "attention_backward_keys" + shape.suffix(),
          Grid.line(shape.blocks(64), 128, small ? 66_560 : 99_328),
          dQkv,
          dOut,
          qkv,
          lse,
          address(delta),
          shape.batch(),
          shape.seq(),
          shape.heads());
      launcher.launch(
          "attention_backward_queries" + shape.suffix(),
          Grid.line(shape.blocks(small ? 128 : 64), small ? 256 : 128, 98_304),
          dQkv,
          dOut,
          qkv,
          lse,
          address(delta),
          shape.batch(),
          shape.seq(),
          shape.heads());
    }
  }

  private Tensor wide(Shape shape, int parts) {
    return device.allocateActivations(
        Math.toIntExact(shape.tokens()), parts * shape.heads() * shape.padded());
  }

  private static long address(Tensor tensor) {
    return CudaTensor.of(tensor).addressToWrite();
  }

  private void pad(long wide, long narrow, int parts, Shape shape, float first) {
    reshape("pad_heads", shape.padded(), wide, narrow, parts, shape, first);
  }

  private void cut(long narrow, long wide, int parts, Shape shape, float first) {
    reshape("cut_heads", shape.size(), narrow, wide, parts, shape, first);
  }

  private void reshape(
      String kernel, int channels, long to, long from, int parts, Shape shape, float first) {
    launcher.launch(
        kernel,
        Grid.line(Math.ceilDiv(shape.tokens() * parts * shape.heads() * channels, 256), 256),
        to,
        from,
        shape.tokens(),
        parts,
        shape.heads(),
        shape.size(),
        shape.padded(),
        first);
  }
}

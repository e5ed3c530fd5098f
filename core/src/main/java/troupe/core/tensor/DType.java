package troupe.core.tensor;

/** Element types of tensors. The code travels in frames and never changes meaning. */
public enum DType {
  /** IEEE single precision: parameters, gradients and moments of every device that trains. */
  F32(1, 4, "F32"),
  /** IEEE double precision: what the reference device computes in. */
  F64(2, 8, "F64"),
  /** The upper half of single precision: activations on GPUs. */
  BF16(3, 2, "BF16");

  private final int code;
  private final int bytes;
  private final String safetensorsName;

  DType(int code, int bytes, String safetensorsName) {
    this.code = code;
    this.bytes = bytes;
    this.safetensorsName = safetensorsName;
  }

  /** The code of this type in frames. */
  public int code() {
    return code;
  }

  /** Bytes an element. */
  public int bytes() {
    return bytes;
  }

  /** The name of this type in safetensors files. */
  public String safetensorsName() {
    return safetensorsName;
  }
}

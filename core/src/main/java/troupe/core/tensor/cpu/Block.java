package troupe.core.tensor.cpu;

/** A block of a device's memory, outside the Java heap. */
final class Block {
  private final long address;
  private volatile boolean freed;

  Block(long address) {
    this.address = address;
  }

  /** Its device is closing: nobody may use it any more. */
  void free() {
    freed = true;
  }

  /** The address of the first float. */
  long address() {
    if (freed) {
      throw new IllegalStateException("device: closed (expected: open)");
    }
    return address;
  }
}

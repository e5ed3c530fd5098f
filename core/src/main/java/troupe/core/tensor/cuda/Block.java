package troupe.core.tensor.cuda;

import java.util.List;
import troupe.core.tensor.DType;

/**
 * Memory of a GPU, of one element type. Of float32 memory that matrix products read there is a copy
 * in bf16: parameters stay exact, products run at full speed. Of what they write there are sums of
 * squares beside it.
 */
final class Block {
  private final GpuMemory memory;
  private final long address;
  private final long elements;
  private final DType type;
  private long shadow;
  private boolean shadowCurrent;

  /** Null of memory that no product has left sums for: nearly all. */
  private SquaredMatrices squared;

  private long sums;

  /** The event at which the elements are here from elsewhere, until something waits for it. */
  private long arrival;

  /**
   * The event until which copies to other processes read it. They are made in one stream, so it is
   * that of the last. Others than the owner's thread may begin one.
   */
  private volatile long read;

  /** Memory at an address, allocated for that many elements; counted as held until it is freed. */
  Block(GpuMemory memory, long address, long elements, DType type) {
    this.memory = memory;
    this.address = address;
    this.elements = elements;
    this.type = type;
    memory.holds(bytes());
  }

  /** Says that the elements come from elsewhere, and are here at an event. */
  void arrivesAt(long event) {
    arrival = event;
  }

  /** Says that a copy to another process reads it until an event. */
  void readUntil(long event) {
    read = event;
  }

  /** The address, for work that is asked for next: it waits for what is on its way. */
  long address() {
    if (arrival != 0) {
      memory.await(arrival);
      arrival = 0;
    }
    return address;
  }

  /** The address, for a copy in another stream: that waits for what is on its way. */
  long address(Gpu copier, long stream) {
    if (arrival != 0) {
      copier.enter();
      copier.driver().waitFor(stream, arrival);
    }
    return address;
  }

  long elements() {
    return elements;
  }

  DType type() {
    return type;
  }

  private long bytes() {
    return elements * type.bytes();
  }

  private long shadowBytes() {
    return elements * DType.BF16.bytes();
  }

  /** The address of the bf16 copy, or 0 if nothing has asked for it yet. */
  long shadow() {
    return shadow;
  }

  boolean isShadowCurrent() {
    return shadowCurrent;
  }

  /** Makes room for the bf16 copy. */
  void allocateShadow() {
    shadow =
        memory.allocate(
            shadowBytes(), memory.stream(), () -> "the bf16 copy of " + elements + " " + type);
    memory.holds(shadowBytes());
  }

  /** Says that the bf16 copy has what this memory has. */
  void shadowIsCurrent() {
    shadowCurrent = true;
  }

  private long sumsBytes() {
    return elements / SquaredMatrices.ELEMENTS_OF_A_SUM * Float.BYTES;
  }

  /**
   * Where a product that is about to write a matrix is to leave sums of its squares. There is room
   * from the first such product on, not once somebody has asked for them: with sums in another
   * order the first step of a process would differ in the last bit from the same step of one that
   * went on.
   */
  long sumsToWrite(long from, int rows, int columns) {
    if (sums == 0) {
      sums =
          memory.allocate(
              sumsBytes(), memory.stream(), () -> "sums of squares of " + elements + " " + type);
      memory.holds(sumsBytes());
      squared = new SquaredMatrices();
    }
    return sumsOf(squared.squared(from, rows, columns));
  }

  /** The matrices in a range of elements whose squares are summed. */
  List<SquaredMatrices.Matrix> squaredWithin(long from, long end) {
    return squared == null ? List.of() : squared.within(from, end);
  }

  /** The address of the sums of a matrix's squares. */
  long sumsOf(SquaredMatrices.Matrix matrix) {
    return sums + matrix.place() * Float.BYTES;
  }

  /** Says that something is about to write a range of elements. */
  void written(long from, long end) {
    shadowCurrent = false;
    writtenWithShadow(from, end);
  }

  /** The same of something that writes the bf16 copy, too, if there is one. */
  void writtenWithShadow(long from, long end) {
    if (squared != null) {
      squared.written(from, end);
    }
  }

  /** Frees it once another GPU is done with it. */
  void freeAfter(long event) {
    letGo();
    memory.freeAfter(address, event);
    if (shadow != 0) {
      memory.freeAfter(shadow, event);
    }
    if (sums != 0) {
      memory.freeAfter(sums, event);
    }
  }

  /** Frees it once the work that was asked for so far is done with it. */
  void free() {
    if (arrival != 0) {
      // Nobody has touched it, so nothing of this GPU waits for the copy.
      freeAfter(arrival);
      return;
    }
    letGo();
    if (read != 0) {
      memory.awaitToFree(read);
    }
    memory.free(address);
    if (shadow != 0) {
      memory.free(shadow);
    }
    if (sums != 0) {
      memory.free(sums);
    }
  }

  private void letGo() {
    memory.holds(-bytes());
    if (shadow != 0) {
      memory.holds(-shadowBytes());
    }
    if (sums != 0) {
      memory.holds(-sumsBytes());
    }
  }
}

package troupe.core.tensor.cuda.driver;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Records with the layout of {@code CUpti_ActivityKernel9} and {@code CUpti_ActivityMemcpy5}. */
final class HandMadeRecords {
  static final int KERNEL_BYTES = 208;
  static final int COPY_BYTES = 88;

  private HandMadeRecords() {}

  /** The address of a record of a kernel. */
  static long kernel(
      Arena arena, String name, int device, int stream, long startNs, long lengthNs) {
    MemorySegment record = arena.allocate(KERNEL_BYTES, 8);
    record.set(ValueLayout.JAVA_INT, 0, 10);
    record.set(ValueLayout.JAVA_LONG, 16, startNs);
    record.set(ValueLayout.JAVA_LONG, 24, startNs + lengthNs);
    record.set(ValueLayout.JAVA_INT, 40, device);
    record.set(ValueLayout.JAVA_INT, 44, 1);
    record.set(ValueLayout.JAVA_INT, 48, stream);
    record.set(ValueLayout.JAVA_LONG, 104, arena.allocateFrom(name).address());
    return record.address();
  }

  /** The address of a record of a copy, a peer copy or a fill. */
  static long copy(
      Arena arena,
      int kind,
      int direction,
      int device,
      int stream,
      long startNs,
      long lengthNs,
      long bytes) {
    MemorySegment record = arena.allocate(COPY_BYTES, 8);
    record.set(ValueLayout.JAVA_INT, 0, kind);
    record.set(ValueLayout.JAVA_BYTE, 4, (byte) direction);
    record.set(ValueLayout.JAVA_LONG, 8, bytes);
    record.set(ValueLayout.JAVA_LONG, 16, startNs);
    record.set(ValueLayout.JAVA_LONG, 24, startNs + lengthNs);
    record.set(ValueLayout.JAVA_INT, 32, device);
    record.set(ValueLayout.JAVA_INT, 36, 1);
    record.set(ValueLayout.JAVA_INT, 40, stream);
    return record.address();
  }
}

package troupe.core.tensor.cuda.driver;

import static troupe.core.tensor.cuda.driver.NativeLibrary.INT;
import static troupe.core.tensor.cuda.driver.NativeLibrary.LONG;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import troupe.core.tensor.cuda.driver.GpuActivity.Kind;

/**
 * Reads CUPTI's records of kernels, copies and fills. They have grown at their ends with the
 * versions of CUPTI, but start alike in all of them: {@code CUpti_ActivityKernel3} to {@code 10},
 * {@code CUpti_ActivityMemcpy} to {@code 6}, {@code CUpti_ActivityMemcpyPtoP} to {@code 4} and
 * {@code CUpti_ActivityMemset} to {@code 4} in {@code cupti_activity.h} of CUDA 12.4 and 13.0.
 *
 * <pre>
 *   kernel             0 kind  16 start  24 end  40 device  48 stream  104 address of the name
 *   copy, peer copy    0 kind   4 direction (1 byte)  8 bytes  16 start  24 end  32 device  40 stream
 *   fill               0 kind   8 bytes  16 start  24 end  32 device  40 stream
 * </pre>
 */
final class ActivityRecords {
  static final int COPY = 1;
  static final int FILL = 2;
  static final int CONCURRENT_KERNEL = 10;
  static final int PEER_COPY = 22;

  /** Kinds to ask for. */
  static final int[] KINDS = {CONCURRENT_KERNEL, COPY, PEER_COPY, FILL};

  /** What is read of a record: all of them are at least as long. */
  private static final int KERNEL_BYTES = 112;

  private static final int COPY_BYTES = 48;

  private static final int HOST_TO_DEVICE = 1;
  private static final int DEVICE_TO_HOST = 2;

  /** By address: all records of a kernel share its name. */
  private final Map<Long, String> names = new ConcurrentHashMap<>();

  /** Reads the record at an address; empty if it is of another kind. */
  Optional<GpuActivity> read(long address) {
    int kind = at(address, INT.byteSize()).get(INT, 0);
    return switch (kind) {
      case CONCURRENT_KERNEL -> Optional.of(kernel(at(address, KERNEL_BYTES)));
      case COPY -> {
        MemorySegment copy = at(address, COPY_BYTES);
        yield Optional.of(moved(copy, Kind.COPY, copyName(copy.get(ValueLayout.JAVA_BYTE, 4))));
      }
      case PEER_COPY ->
          Optional.of(moved(at(address, COPY_BYTES), Kind.PEER_COPY, "copy between GPUs"));
      case FILL -> Optional.of(moved(at(address, COPY_BYTES), Kind.FILL, "zero"));
      default -> Optional.empty();
    };
  }

  private GpuActivity kernel(MemorySegment record) {
    return new GpuActivity(
        Kind.KERNEL,
        names.computeIfAbsent(record.get(LONG, 104), ActivityRecords::name),
        record.get(INT, 40),
        record.get(INT, 48),
        record.get(LONG, 16),
        record.get(LONG, 24),
        0);
  }

  private static GpuActivity moved(MemorySegment record, Kind kind, String name) {
    return new GpuActivity(
        kind,
        name,
        record.get(INT, 32),
        record.get(INT, 40),
        record.get(LONG, 16),
        record.get(LONG, 24),
        record.get(LONG, 8));
  }

  private static String copyName(int direction) {
    return switch (direction) {
      case HOST_TO_DEVICE -> "copy from host";
      case DEVICE_TO_HOST -> "copy to host";
      default -> "copy";
    };
  }

  private static String name(long address) {
    return address == 0 ? "kernel" : at(address, Integer.MAX_VALUE).getString(0);
  }

  private static MemorySegment at(long address, long bytes) {
    return MemorySegment.ofAddress(address).reinterpret(bytes);
  }
}

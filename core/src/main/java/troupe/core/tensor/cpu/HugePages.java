package troupe.core.tensor.cpu;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Asks Linux to back memory with huge pages where its setting is {@code madvise}; a hint, not a
 * need.
 */
final class HugePages {
  private static final Logger LOG = LoggerFactory.getLogger(HugePages.class);
  private static final int MADV_HUGEPAGE = 14;

  /** Turns pages that are in use already, since ND4J clears what it allocates (Linux 6.1). */
  private static final int MADV_COLLAPSE = 25;

  private static final MethodHandle MADVISE = madvise();

  private HugePages() {}

  private static MethodHandle madvise() {
    if (!System.getProperty("os.name").equals("Linux")) {
      return null;
    }
    Linker linker = Linker.nativeLinker();
    return linker
        .defaultLookup()
        .find("madvise")
        .map(
            symbol ->
                linker.downcallHandle(
                    symbol,
                    FunctionDescriptor.of(
                        ValueLayout.JAVA_INT,
                        ValueLayout.ADDRESS,
                        ValueLayout.JAVA_LONG,
                        ValueLayout.JAVA_INT)))
        .orElse(null);
  }

  static void advise(long address, long bytes) {
    if (MADVISE == null) {
      return;
    }
    try {
      MemorySegment memory = MemorySegment.ofAddress(address);
      int advised = (int) MADVISE.invokeExact(memory, bytes, MADV_HUGEPAGE);
      int collapsed = (int) MADVISE.invokeExact(memory, bytes, MADV_COLLAPSE);
      LOG.debug("huge pages bytes={} advised={} collapsed={}", bytes, advised, collapsed);
    } catch (Throwable e) {
      throw new IllegalStateException("madvise", e);
    }
  }
}

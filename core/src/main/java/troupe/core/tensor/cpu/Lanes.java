package troupe.core.tensor.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorSpecies;

/** Vectors of floats at absolute addresses, and how far a loop over them goes. */
final class Lanes {
  static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;

  /** Floats in a vector. */
  static final int WIDTH = SPECIES.length();

  /** Bytes of a vector: the stride of a loop over addresses. */
  static final int STEP = SPECIES.vectorByteSize();

  // One segment over all memory: a constant the compiler folds away, where a segment a tensor costs
  // checks in every access.
  private static final MemorySegment MEMORY = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);
  private static final ByteOrder ORDER = ByteOrder.nativeOrder();
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  private Lanes() {}

  static FloatVector load(long address) {
    return FloatVector.fromMemorySegment(SPECIES, MEMORY, address, ORDER);
  }

  /** Loads the lanes that are set, zero elsewhere. */
  static FloatVector load(long address, VectorMask<Float> mask) {
    return FloatVector.fromMemorySegment(SPECIES, MEMORY, address, ORDER, mask);
  }

  static void store(FloatVector vector, long address) {
    vector.intoMemorySegment(MEMORY, address, ORDER);
  }

  static void store(FloatVector vector, long address, VectorMask<Float> mask) {
    vector.intoMemorySegment(MEMORY, address, ORDER, mask);
  }

  static FloatVector all(float value) {
    return FloatVector.broadcast(SPECIES, value);
  }

  static float get(long address) {
    return MEMORY.get(FLOAT, address);
  }

  static void put(long address, float value) {
    MEMORY.set(FLOAT, address, value);
  }

  /** Bytes of {@code count} floats. */
  static long bytes(long count) {
    return count * Float.BYTES;
  }

  /** Bytes of the whole vectors in {@code count} floats. */
  static long wholeBytes(long count) {
    return bytes(count & -WIDTH);
  }

  /** Whether {@code count} floats end in a part of a vector. */
  static boolean hasTail(long count) {
    return (count & (WIDTH - 1)) != 0;
  }

  /** The lanes of that last part. */
  static VectorMask<Float> tail(long count) {
    return SPECIES.indexInRange(0, count & (WIDTH - 1));
  }

  static void copy(long to, long from, long bytes) {
    MemorySegment.copy(MEMORY, from, MEMORY, to, bytes);
  }
}

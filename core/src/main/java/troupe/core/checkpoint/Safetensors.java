package troupe.core.checkpoint;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;

/**
 * The safetensors format: named arrays in a file that can be mapped.
 *
 * <pre>
 *  0                 8                             8 + N                        end
 * +-----------------+-----------------------------+----------------------------+
 * | N, 64 bits, LE  | header: JSON, padded with   | arrays one after the       |
 * |                 | spaces to a multiple of 8   | other, little-endian       |
 * +-----------------+-----------------------------+----------------------------+
 * header: {"__metadata__": {"key": "text"},
 *          "NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}
 * </pre>
 *
 * Source: https://huggingface.co/docs/safetensors. Read with {@link SafetensorsFile#open}.
 */
public final class Safetensors {
  static final int LENGTH_BYTES = 8;
  static final int ALIGNMENT = 8;
  private static final int CHUNK_BYTES = 1 << 20;

  private Safetensors() {}

  /**
   * Writes arrays into a new file and syncs it. The order is the given one, except that wider
   * element types come first, so that every array is aligned to its elements.
   *
   * @throws IllegalArgumentException if two arrays share a name
   * @throws java.nio.file.FileAlreadyExistsException if the file is there
   */
  public static void write(Path path, Map<String, String> metadata, List<NamedArray> arrays)
      throws IOException {
    try (OutputFile file = OutputFile.onDisk(path)) {
      write(file, metadata, arrays);
    }
  }

  /** As {@link #write(Path, Map, List)}, into a file that is still empty. */
  static void write(OutputFile file, Map<String, String> metadata, List<NamedArray> arrays)
      throws IOException {
    if (ByteOrder.nativeOrder() != ByteOrder.LITTLE_ENDIAN) {
      throw new UnsupportedOperationException("byte order: big-endian (expected: little-endian)");
    }
    List<NamedArray> aligned = new ArrayList<>(arrays);
    aligned.sort(Comparator.comparing(array -> -array.dtype().bytes()));
    byte[] json = SafetensorsHeader.of(metadata, aligned).toJson(ALIGNMENT);
    ByteBuffer length = ByteBuffer.allocate(LENGTH_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    file.write(length.putLong(0, json.length));
    file.write(ByteBuffer.wrap(json));
    byte[] chunk = new byte[CHUNK_BYTES];
    for (NamedArray array : aligned) {
      write(file, array.data(), chunk);
    }
    file.sync();
  }

  private static void write(OutputFile file, MemorySegment data, byte[] chunk) throws IOException {
    for (long from = 0; from < data.byteSize(); from += chunk.length) {
      int count = (int) Math.min(chunk.length, data.byteSize() - from);
      MemorySegment.copy(data, ValueLayout.JAVA_BYTE, from, chunk, 0, count);
      file.write(ByteBuffer.wrap(chunk, 0, count));
    }
  }
}

package troupe.core.checkpoint;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A safetensors file, mapped: opening it reads the header only. Arrays can be read by any thread
 * and only until {@link #close}; afterwards touching them throws IllegalStateException.
 */
public final class SafetensorsFile implements AutoCloseable {
  /** The limit of the format's own implementation: more is an attack or a wrong file. */
  private static final long MAX_HEADER_BYTES = 100_000_000;

  private static final ValueLayout.OfLong LENGTH =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final Arena arena;
  private final Map<String, String> metadata;
  private final Map<String, NamedArray> arrays;

  private SafetensorsFile(Arena arena, SafetensorsHeader header, MemorySegment data) {
    this.arena = arena;
    this.metadata = Collections.unmodifiableMap(header.metadata());
    Map<String, NamedArray> byName = new LinkedHashMap<>();
    for (SafetensorsHeader.Entry entry : header.entries()) {
      MemorySegment bytes = data.asSlice(entry.begin(), entry.end() - entry.begin());
      MemorySegment aligned = align(arena, bytes, entry.dtype().bytes());
      byName.put(entry.name(), new NamedArray(entry.name(), entry.dtype(), entry.shape(), aligned));
    }
    this.arrays = Collections.unmodifiableMap(byName);
  }

  /**
   * Maps a file and checks its header against its length.
   *
   * @throws CorruptFileException if the file is not whole, or not of this format
   * @throws IOException if it cannot be read
   */
  public static SafetensorsFile open(Path path) throws IOException {
    Arena arena = Arena.ofShared();
    try {
      MemorySegment file = map(path, arena);
      if (file.byteSize() < Safetensors.LENGTH_BYTES) {
        throw new CorruptFileException(path, file.byteSize() + " bytes (expected: >= 8)");
      }
      long length = file.get(LENGTH, 0);
      long rest = file.byteSize() - Safetensors.LENGTH_BYTES;
      if (length < 2 || length > Math.min(rest, MAX_HEADER_BYTES)) {
        throw new CorruptFileException(
            path,
            "header length: "
                + Long.toUnsignedString(length)
                + " (expected: 2 to "
                + Math.min(rest, MAX_HEADER_BYTES)
                + ")");
      }
      byte[] json = file.asSlice(Safetensors.LENGTH_BYTES, length).toArray(ValueLayout.JAVA_BYTE);
      if (json[0] != '{') {
        throw new CorruptFileException(path, "header: first byte " + json[0] + " (expected: {)");
      }
      SafetensorsHeader header = SafetensorsHeader.parse(path, json, rest - length);
      return new SafetensorsFile(arena, header, file.asSlice(Safetensors.LENGTH_BYTES + length));
    } catch (IOException | RuntimeException e) {
      arena.close();
      throw e;
    }
  }

  /** Free text by key, as the writer put it in. */
  public Map<String, String> metadata() {
    return metadata;
  }

  /** All arrays by name, in the order of the header; their data cannot be written to. */
  public Map<String, NamedArray> arrays() {
    return arrays;
  }

  /** Unmaps the file. */
  @Override
  public void close() {
    arena.close();
  }

  private static MemorySegment map(Path path, Arena arena) throws IOException {
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      return channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
    }
  }

  /**
   * Files of other writers may hold arrays at any offset, which typed reads refuse: those are
   * copied.
   */
  private static MemorySegment align(Arena arena, MemorySegment bytes, int elementBytes) {
    if (bytes.address() % elementBytes == 0) {
      return bytes;
    }
    return arena.allocate(bytes.byteSize(), elementBytes).copyFrom(bytes).asReadOnly();
  }
}

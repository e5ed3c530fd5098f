package troupe.core.checkpoint;

import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import com.google.gson.stream.JsonWriter;
import java.io.IOException;
import java.io.StringReader;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import troupe.core.tensor.DType;

/**
 * The JSON header of a safetensors file.
 *
 * @param metadata free text by key
 * @param entries the arrays in the order of the header
 */
record SafetensorsHeader(Map<String, String> metadata, List<Entry> entries) {
  static final String METADATA = "__metadata__";

  /** What one array is and where its bytes are, relative to the end of the header. */
  record Entry(String name, DType dtype, long[] shape, long begin, long end) {}

  /** Lays the arrays out one after the other. */
  static SafetensorsHeader of(Map<String, String> metadata, List<NamedArray> arrays) {
    List<Entry> entries = new ArrayList<>();
    Set<String> names = new HashSet<>();
    long begin = 0;
    for (NamedArray array : arrays) {
      if (!names.add(array.name())) {
        throw new IllegalArgumentException("name: " + array.name() + " (expected: once a file)");
      }
      long end = Math.addExact(begin, array.data().byteSize());
      entries.add(new Entry(array.name(), array.dtype(), array.shape(), begin, end));
      begin = end;
    }
    return new SafetensorsHeader(metadata, entries);
  }

  /** The header as UTF-8, padded with spaces to a multiple of {@code alignment}. */
  byte[] toJson(int alignment) {
    StringWriter text = new StringWriter();
    try (JsonWriter json = new JsonWriter(text)) {
      json.beginObject();
      if (!metadata.isEmpty()) {
        json.name(METADATA).beginObject();
        for (Map.Entry<String, String> pair : metadata.entrySet()) {
          json.name(pair.getKey()).value(pair.getValue());
        }
        json.endObject();
      }
      for (Entry entry : entries) {
        json.name(entry.name).beginObject().name("dtype").value(entry.dtype.safetensorsName());
        json.name("shape").beginArray();
        for (long dimension : entry.shape) {
          json.value(dimension);
        }
        json.endArray();
        json.name("data_offsets").beginArray().value(entry.begin).value(entry.end).endArray();
        json.endObject();
      }
      json.endObject();
    } catch (IOException e) {
      throw new UncheckedIOException("a StringWriter does not fail", e);
    }
    byte[] bytes = text.toString().getBytes(StandardCharsets.UTF_8);
    int padded = Math.ceilDiv(bytes.length, alignment) * alignment;
    byte[] json = Arrays.copyOf(bytes, padded);
    Arrays.fill(json, bytes.length, padded, (byte) ' ');
    return json;
  }

  /**
   * Reads a header and checks that its arrays cover the data exactly: no hole, no overlap, nothing
   * left over.
   *
   * @param file what to name in errors
   * @param json the header as it is in the file
   * @param dataBytes bytes of the file after the header
   */
  static SafetensorsHeader parse(Path file, byte[] json, long dataBytes)
      throws CorruptFileException {
    try {
      String text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(json)).toString();
      JsonReader reader = new JsonReader(new StringReader(text));
      reader.setStrictness(Strictness.STRICT);
      SafetensorsHeader header = readHeader(file, reader);
      if (reader.peek() != JsonToken.END_DOCUMENT) {
        throw new CorruptFileException(file, "header: text after its end");
      }
      checkCoverage(file, header.entries, dataBytes);
      return header;
    } catch (CorruptFileException e) {
      throw e;
    } catch (IOException | IllegalStateException | IllegalArgumentException e) {
      throw CorruptFileException.unreadable(file, "header", e);
    }
  }

  private static SafetensorsHeader readHeader(Path file, JsonReader reader) throws IOException {
    Map<String, String> metadata = new LinkedHashMap<>();
    Map<String, Entry> entries = new LinkedHashMap<>();
    boolean hasMetadata = false;
    reader.beginObject();
    while (reader.hasNext()) {
      String name = reader.nextName();
      if (!name.equals(METADATA)) {
        if (entries.put(name, readEntry(file, reader, name)) != null) {
          throw new CorruptFileException(file, "header: " + name + " is there twice");
        }
      } else if (hasMetadata) {
        throw new CorruptFileException(file, "header: " + METADATA + " is there twice");
      } else {
        hasMetadata = true;
        readMetadata(file, reader, metadata);
      }
    }
    reader.endObject();
    return new SafetensorsHeader(metadata, List.copyOf(entries.values()));
  }

  private static void readMetadata(Path file, JsonReader reader, Map<String, String> metadata)
      throws IOException {
    reader.beginObject();
    while (reader.hasNext()) {
      String key = reader.nextName();
      if (reader.peek() != JsonToken.STRING) {
        throw new CorruptFileException(
            file, METADATA + "." + key + ": " + reader.peek() + " (expected: STRING)");
      }
      if (metadata.put(key, reader.nextString()) != null) {
        throw new CorruptFileException(file, METADATA + "." + key + " is there twice");
      }
    }
    reader.endObject();
  }

  private static Entry readEntry(Path file, JsonReader reader, String name) throws IOException {
    DType dtype = null;
    long[] shape = null;
    long[] offsets = null;
    Set<String> fields = new TreeSet<>();
    reader.beginObject();
    while (reader.hasNext()) {
      String field = reader.nextName();
      if (!fields.add(field)) {
        throw new CorruptFileException(file, name + "." + field + " is there twice");
      }
      switch (field) {
        case "dtype" -> dtype = readDType(file, reader, name);
        case "shape" -> shape = readCounts(file, reader, name + ".shape");
        case "data_offsets" -> offsets = readCounts(file, reader, name + ".data_offsets");
        default ->
            throw new CorruptFileException(
                file, name + "." + field + " (expected: dtype, shape or data_offsets)");
      }
    }
    reader.endObject();
    if (fields.size() != 3) {
      throw new CorruptFileException(
          file, name + ": " + fields + " (expected: dtype, shape and data_offsets)");
    }
    if (offsets.length != 2 || offsets[1] < offsets[0]) {
      throw new CorruptFileException(
          file, name + ".data_offsets: " + Arrays.toString(offsets) + " (expected: [begin, end])");
    }
    long bytes = NamedArray.byteSize(dtype, shape);
    if (offsets[1] - offsets[0] != bytes) {
      throw new CorruptFileException(
          file,
          name
              + ": "
              + (offsets[1] - offsets[0])
              + " bytes (expected: "
              + bytes
              + " for "
              + dtype
              + " "
              + Arrays.toString(shape)
              + ")");
    }
    return new Entry(name, dtype, shape, offsets[0], offsets[1]);
  }

  private static DType readDType(Path file, JsonReader reader, String name) throws IOException {
    String text = reader.nextString();
    for (DType dtype : DType.values()) {
      if (dtype.safetensorsName().equals(text)) {
        return dtype;
      }
    }
    throw new CorruptFileException(
        file,
        name + ".dtype: " + text + " (expected: one of " + Arrays.toString(DType.values()) + ")");
  }

  private static long[] readCounts(Path file, JsonReader reader, String what) throws IOException {
    long[] counts = new long[4];
    int size = 0;
    reader.beginArray();
    while (reader.hasNext()) {
      if (reader.peek() != JsonToken.NUMBER) {
        throw new CorruptFileException(file, what + ": " + reader.peek() + " (expected: NUMBER)");
      }
      // Not nextLong(): it accepts 1.0 and 1e3, which the format does not.
      long count = Long.parseLong(reader.nextString());
      if (count < 0) {
        throw new CorruptFileException(file, what + ": " + count + " (expected: >= 0)");
      }
      counts = size == counts.length ? Arrays.copyOf(counts, 2 * size) : counts;
      counts[size++] = count;
    }
    reader.endArray();
    return Arrays.copyOf(counts, size);
  }

  private static void checkCoverage(Path file, List<Entry> entries, long dataBytes)
      throws CorruptFileException {
    List<Entry> byOffset = new ArrayList<>(entries);
    byOffset.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
    long covered = 0;
    for (Entry entry : byOffset) {
      if (entry.begin != covered) {
        throw new CorruptFileException(
            file,
            entry.name + ".data_offsets: begin " + entry.begin + " (expected: " + covered + ")");
      }
      covered = entry.end;
    }
    if (covered != dataBytes) {
      throw new CorruptFileException(
          file, "data: " + dataBytes + " bytes (expected: " + covered + " by its header)");
    }
  }
}

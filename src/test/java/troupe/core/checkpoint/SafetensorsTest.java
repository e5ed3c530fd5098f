package troupe.core.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static troupe.core.checkpoint.CheckpointFixtures.bytes;
import static troupe.core.checkpoint.CheckpointFixtures.f32;
import static troupe.core.checkpoint.CheckpointFixtures.f64;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import troupe.core.tensor.DType;

class SafetensorsTest {
  @TempDir private Path folder;

  @Test
  void shouldReadBackWhatWasWritten() throws IOException {
    List<NamedArray> arrays =
        List.of(
            f32("matrix", new long[] {2, 3}, 1, -0.0f, Float.NaN, Float.MIN_VALUE, 5, 6),
            f64("doubles", new long[] {1, 3}, Math.PI, Double.NEGATIVE_INFINITY, 1e-310),
            f32("scalar", new long[] {}, 7),
            f32("empty", new long[] {0, 4}),
            f64("emptyDoubles", new long[] {3, 0}));
    assertRoundTrip(arrays);
  }

  @Test
  void shouldKeepOddNamesWhenTheyAreText() throws IOException {
    assertRoundTrip(
        List.of(
            f32("", new long[] {1}, 1),
            f32("quote\" back\\slash", new long[] {1}, 2),
            f32("line\nbreak\u0000nul", new long[] {1}, 3),
            f32("<script>&\u2028 ueber \u00fc \ud83e\udd89", new long[] {1}, 4),
            f32("../../etc/passwd", new long[] {1}, 5)));
  }

  @Test
  void shouldHoldNothingWhenNothingWasWritten() throws IOException {
    assertRoundTrip(List.of());
  }

  @Test
  void shouldAlignEveryArrayToItsElements() throws IOException {
    Path path = folder.resolve("aligned.safetensors");
    Safetensors.write(
        path,
        Map.of(),
        List.of(
            f32("a", new long[] {3}, 1, 2, 3),
            f64("b", new long[] {1}, 4),
            f32("c", new long[] {1}, 5)));
    try (SafetensorsFile file = SafetensorsFile.open(path)) {
      assertEquals(4, file.arrays().get("b").data().get(ValueLayout.JAVA_DOUBLE, 0));
      assertEquals(List.of("b", "a", "c"), List.copyOf(file.arrays().keySet()));
    }
  }

  @Test
  void shouldWriteTheDocumentedBytes() throws IOException {
    Path path = folder.resolve("bytes.safetensors");
    Safetensors.write(path, Map.of("k", "v"), List.of(f32("w", new long[] {1, 2}, 1.5f, -2)));
    ByteBuffer file = ByteBuffer.wrap(Files.readAllBytes(path)).order(ByteOrder.LITTLE_ENDIAN);
    String json =
        "{\"__metadata__\":{\"k\":\"v\"},\"w\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]}}";
    int padded = Math.ceilDiv(json.length(), 8) * 8;
    assertEquals(padded, file.getLong(0));
    String header = new String(file.array(), 8, padded, StandardCharsets.UTF_8);
    assertEquals(json, header.stripTrailing());
    assertEquals(1.5f, file.getFloat(8 + padded));
    assertEquals(-2f, file.getFloat(8 + padded + 4));
    assertEquals(8 + padded + 8, file.capacity());
  }

  @Test
  void shouldReadFilesOfOtherWritersWhenArraysAreOutOfLine() throws IOException {
    String json =
        """
        { "b" : {"data_offsets":[4,12], "shape":[1], "dtype":"F64"},
          "a" : {"dtype":"F32","shape":[1],"data_offsets":[0,4]} }\
        """;
    ByteBuffer data = ByteBuffer.allocate(12).order(ByteOrder.LITTLE_ENDIAN);
    Path path = file(json, data.putFloat(1.25f).putDouble(-3.5).array());
    try (SafetensorsFile file = SafetensorsFile.open(path)) {
      assertEquals(1.25f, file.arrays().get("a").data().get(ValueLayout.JAVA_FLOAT, 0));
      assertEquals(-3.5, file.arrays().get("b").data().get(ValueLayout.JAVA_DOUBLE, 0));
    }
  }

  @Test
  void shouldWriteArraysLargerThanAChunk() throws IOException {
    try (Arena arena = Arena.ofShared()) {
      long elements = (3 << 20) / 4 + 1;
      MemorySegment data = arena.allocate(elements * 4, 4);
      for (long i = 0; i < elements; i++) {
        data.setAtIndex(ValueLayout.JAVA_INT, i, (int) (i * 0x9E3779B9L));
      }
      assertRoundTrip(List.of(new NamedArray("big", DType.F32, new long[] {elements}, data)));
    }
  }

  @Test
  void shouldRefuseToOverwriteOrToWriteANameTwice() throws IOException {
    Path path = folder.resolve("there.safetensors");
    NamedArray one = f32("w", new long[] {1}, 1);
    Safetensors.write(path, Map.of(), List.of(one));
    assertThrows(
        FileAlreadyExistsException.class, () -> Safetensors.write(path, Map.of(), List.of()));
    Path other = folder.resolve("twice.safetensors");
    assertThrows(
        IllegalArgumentException.class,
        () -> Safetensors.write(other, Map.of(), List.of(one, one)));
  }

  @Test
  void shouldRefuseArraysThatDoNotFitTheirShape() {
    assertThrows(IllegalArgumentException.class, () -> f32("w", new long[] {2, 2}, 1, 2, 3));
    assertThrows(IllegalArgumentException.class, () -> f32("w", new long[] {-1}));
    assertThrows(
        IllegalArgumentException.class,
        () -> f32("w", new long[] {Long.MAX_VALUE, Long.MAX_VALUE}));
    assertThrows(IllegalArgumentException.class, () -> f32("__metadata__", new long[] {1}, 1));
    assertThrows(IllegalArgumentException.class, () -> f32("lone \ud83e", new long[] {1}, 1));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          {"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}          | 8 | data: 8 bytes
          {"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}          | 0 | data: 0 bytes
          {"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}          | 4 | w: 4 bytes (expected: 8
          {"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}          | 8 | w.data_offsets: begin 4
          {"w":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}          | 4 | w.data_offsets
          {"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}        | 4 | w.data_offsets
          {"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}         | 4 | w.shape: -1
          {"w":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}        | 4 | 1.0
          {"w":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}}        | 4 | w.shape: STRING
          {"w":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}          | 4 | w.dtype: F16
          {"w":{"dtype":"F32","shape":[1]}}                               | 4 | w: [dtype, shape]
          {"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}    | 4 | w.x
          {"w":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}} | 4 | w.shape is there twice
          {"w":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}} | 4 | 2^63
          {"w":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}} | 4 | header
          {"__metadata__":{"k":1}}                                        | 0 | __metadata__.k: NUMBER
          {"w":null}                                                      | 0 | header
          {} x                                                            | 0 | header
          {"w":                                                           | 0 | header
          []                                                              | 0 | first byte
          {"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}} | 8 | a is there twice
          {"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}} | 4 | b.data_offsets
          """)
  void shouldSayWhatIsWrongWhenAHeaderLies(String json, int dataBytes, String expected)
      throws IOException {
    Path path = file(json, new byte[dataBytes]);
    CorruptFileException e =
        assertThrows(CorruptFileException.class, () -> SafetensorsFile.open(path).close());
    assertTrue(e.getMessage().contains(expected), e.getMessage());
    assertTrue(e.getMessage().startsWith(path.toString()), e.getMessage());
    assertEquals(1, e.getMessage().lines().count(), e.getMessage());
  }

  @Test
  void shouldRefuseHeaderLengthsThatCannotBe() throws IOException {
    for (long length : new long[] {0, 1, 9, Long.MAX_VALUE, -1, 200_000_000}) {
      ByteBuffer bytes = ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN);
      Path path = folder.resolve("length" + length);
      Files.write(path, bytes.putLong(0, length).array());
      CorruptFileException e =
          assertThrows(CorruptFileException.class, () -> SafetensorsFile.open(path).close());
      assertTrue(e.getMessage().contains("header length"), e.getMessage());
    }
  }

  private Path file(String json, byte[] data) throws IOException {
    byte[] header = json.getBytes(StandardCharsets.UTF_8);
    ByteBuffer bytes =
        ByteBuffer.allocate(8 + header.length + data.length).order(ByteOrder.LITTLE_ENDIAN);
    Path path = folder.resolve("foreign-" + Arrays.hashCode(header) + "-" + data.length);
    return Files.write(path, bytes.putLong(header.length).put(header).put(data).array());
  }

  private void assertRoundTrip(List<NamedArray> arrays) throws IOException {
    Path path = folder.resolve("round-trip.safetensors");
    Safetensors.write(path, Map.of("format", "pt"), arrays);
    try (SafetensorsFile file = SafetensorsFile.open(path)) {
      assertEquals(Map.of("format", "pt"), file.metadata());
      assertEquals(arrays.size(), file.arrays().size());
      for (NamedArray expected : arrays) {
        NamedArray actual = file.arrays().get(expected.name());
        assertEquals(expected.dtype(), actual.dtype());
        assertArrayEquals(expected.shape(), actual.shape());
        assertArrayEquals(bytes(expected), bytes(actual), expected.name());
        assertTrue(actual.data().isReadOnly());
      }
    }
  }
}

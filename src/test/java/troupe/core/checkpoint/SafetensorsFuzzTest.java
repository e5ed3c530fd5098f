package troupe.core.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static troupe.core.checkpoint.CheckpointFixtures.bytes;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsFuzzTest {
  private static final int MUTANTS = 1500;
  private static final int HEADERS = 15_000;
  private static final byte[] ALPHABET =
      "{}[]\":,0123456789-.eE \\u\u0000F6nw".getBytes(StandardCharsets.US_ASCII);

  @TempDir private Path folder;

  @Test
  void shouldOpenOrRefuseEveryMutantOfAFile() throws IOException {
    long seed = System.nanoTime();
    RandomGenerator random = CheckpointFixtures.random(seed);
    byte[] whole = wholeFile();
    int refused = 0;
    for (int i = 0; i < MUTANTS; i++) {
      Path path = Files.write(folder.resolve("mutant"), mutate(whole, random));
      try (SafetensorsFile file = SafetensorsFile.open(path)) {
        for (NamedArray array : file.arrays().values()) {
          assertEquals(array.data().byteSize(), bytes(array).length);
        }
      } catch (CorruptFileException e) {
        refused++;
      } catch (RuntimeException e) {
        throw new AssertionError("seed " + seed + " mutant " + i, e);
      }
    }
    assertTrue(refused > MUTANTS / 4, "seed " + seed + ": only " + refused + " refused");
  }

  @Test
  void shouldParseOrRefuseEveryMutantOfAHeader() throws IOException {
    long seed = System.nanoTime();
    RandomGenerator random = CheckpointFixtures.random(seed);
    byte[] file = wholeFile();
    int length = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).getInt(0);
    byte[] header = Arrays.copyOfRange(file, 8, 8 + length);
    int refused = 0;
    for (int i = 0; i < HEADERS; i++) {
      try {
        SafetensorsHeader.parse(folder, mutate(header, random), file.length - 8 - length);
      } catch (CorruptFileException e) {
        refused++;
        assertEquals(1, e.getMessage().lines().count(), "seed " + seed + " mutant " + i);
      } catch (RuntimeException | StackOverflowError e) {
        throw new AssertionError("seed " + seed + " mutant " + i, e);
      }
    }
    assertTrue(refused > HEADERS / 4, "seed " + seed + ": only " + refused + " refused");
  }

  @Test
  void shouldRefuseHeadersNestedDeeply() {
    byte[] header = ("{\"w\":" + "[".repeat(200_000)).getBytes(StandardCharsets.US_ASCII);
    assertThrows(CorruptFileException.class, () -> SafetensorsHeader.parse(folder, header, 0));
  }

  @Test
  void shouldRefuseAFileTornAtAnyLength() throws IOException {
    byte[] whole = wholeFile();
    for (int length = 0; length < whole.length; length++) {
      Path path = Files.write(folder.resolve("torn"), Arrays.copyOf(whole, length));
      assertThrows(CorruptFileException.class, () -> SafetensorsFile.open(path).close());
    }
  }

  private byte[] wholeFile() throws IOException {
    Path path = folder.resolve("whole.safetensors");
    Files.deleteIfExists(path);
    Safetensors.write(path, Map.of("format", "pt"), CheckpointFixtures.arrays(1, "trunk"));
    return Files.readAllBytes(path);
  }

  /**
   * One to four edits: a bit, a byte that means something in JSON, a piece left out, or a piece put
   * in again.
   */
  private static byte[] mutate(byte[] original, RandomGenerator random) {
    byte[] mutant = original.clone();
    int edits = random.nextInt(1, 5);
    for (int i = 0; i < edits && mutant.length > 1; i++) {
      // Most of what can go wrong is at the front.
      int at = random.nextInt(random.nextInt(1, mutant.length + 1));
      switch (random.nextInt(4)) {
        case 0 -> mutant[at] ^= (byte) (1 << random.nextInt(8));
        case 1 -> mutant[at] = ALPHABET[random.nextInt(ALPHABET.length)];
        case 2 -> mutant = splice(mutant, at, Math.min(mutant.length, at + random.nextInt(9)));
        default -> mutant = splice(mutant, at, Math.max(0, at - random.nextInt(40)));
      }
    }
    return mutant;
  }

  /** The bytes up to {@code end}, then those from {@code resume} on. */
  private static byte[] splice(byte[] bytes, int end, int resume) {
    byte[] spliced = Arrays.copyOf(bytes, end + bytes.length - resume);
    System.arraycopy(bytes, resume, spliced, end, bytes.length - resume);
    return spliced;
  }
}

package troupe.core.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static troupe.core.checkpoint.CheckpointFixtures.f32;
import static troupe.core.checkpoint.CheckpointFixtures.f64;

import java.util.List;
import org.junit.jupiter.api.Test;

class ParameterHashTest {
  private static final NamedArray W = f32("w", new long[] {2, 2}, 1, 2, 3, 4);
  private static final NamedArray B = f32("b", new long[] {2}, 5, 6);

  @Test
  void shouldBeTheHashOfTheDocumentedBytes() {
    // python3: hashlib.sha256(struct.pack("<i1siiqq4f", 1, b"w", 1, 2, 2, 2, 1, 2, 3,
    // 4)).hexdigest()
    assertEquals("6072e00578637cd61a9f3ee21c175ce5848a6bd9ff63d2c3c0fc462bdf44a79e", hash(W));
  }

  @Test
  void shouldBeEqualWhenTheBitsAre() {
    assertEquals(hash(W, B), hash(f32("w", new long[] {2, 2}, 1, 2, 3, 4), B));
  }

  @Test
  void shouldDifferWhenAnythingDiffers() {
    String hash = hash(W, B);
    List<String> others =
        List.of(
            hash(B, W),
            hash(W),
            hash(f32("v", new long[] {2, 2}, 1, 2, 3, 4), B),
            hash(f32("w", new long[] {4}, 1, 2, 3, 4), B),
            hash(f32("w", new long[] {2, 2}, 1, 2, 3, Math.nextUp(4f)), B),
            hash(f64("w", new long[] {2, 2}, 1, 2, 3, 4), B),
            hash(f32("zero", new long[] {1}, 0f)));
    others.forEach(other -> assertNotEquals(hash, other));
    assertNotEquals(hash(f32("zero", new long[] {1}, 0f)), hash(f32("zero", new long[] {1}, -0f)));
  }

  private static String hash(NamedArray... arrays) {
    ParameterHash hash = new ParameterHash();
    for (NamedArray array : arrays) {
      hash.add(array);
    }
    return hash.hex();
  }
}

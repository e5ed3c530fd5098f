package troupe.core.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import org.junit.jupiter.api.Test;

final class TokenCountsTest {
  /** Token i is i mod 7, as long as the stream wants to be; counts how often it is read. */
  private static final class Sevens implements TokenStream {
    private long read;

    @Override
    public long size() {
      return 200_003;
    }

    @Override
    public void read(long from, int[] out, int offset, int count) {
      for (int i = 0; i < count; i++) {
        out[offset + i] = (int) ((from + i) % 7);
      }
      read += count;
    }
  }

  @Test
  void shouldCountEveryTokenOnce() {
    Sevens stream = new Sevens();
    TokenCounts counts = TokenCounts.of(stream);
    assertEquals(0, stream.read, "nobody asked");
    long[] count_V = counts.of(9);
    assertEquals(200_003, Arrays.stream(count_V).sum());
    for (int id = 0; id < 9; id++) {
      assertEquals(id < 6 ? 28_572 : id < 7 ? 28_571 : 0, count_V[id], "token " + id);
    }
    count_V[0] = 0;
    assertEquals(28_572, counts.of(9)[0]);
    assertEquals(200_003, stream.read, "counted once");
  }

  @Test
  void shouldKnowNothingWhenUnknown() {
    assertArrayEquals(new long[5], TokenCounts.UNKNOWN.of(5));
  }
}

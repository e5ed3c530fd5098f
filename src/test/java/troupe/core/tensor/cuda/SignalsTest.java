package troupe.core.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import troupe.core.tensor.cuda.driver.FakeCuda;

/** Words that two processes share; without a GPU. */
class SignalsTest {
  private static final long STREAM = 7;

  @TempDir private Path folder;

  private final FakeCuda cuda = new FakeCuda();
  private final Gpu gpu = new Gpu(cuda.driver(), 0, Duration.ofSeconds(30));

  @Test
  void shouldShowWhatIsGivenToWhoeverOpensThem() throws IOException {
    try (Signals ours = Signals.create(gpu, folder);
        Signals theirs = Signals.open(gpu, ours.file())) {
      ours.give(STREAM, 3);
      assertTrue(theirs.isGiven(3));
      assertFalse(theirs.isGiven(1));
      assertFalse(theirs.isGiven(3 + Signals.CAPACITY));
    }
  }

  @Test
  void shouldTakeNothingBackWhereAWordIsUsedAgain() throws IOException {
    try (Signals ours = Signals.create(gpu, folder);
        Signals theirs = Signals.open(gpu, ours.file())) {
      int later = 5 + Signals.CAPACITY;
      ours.give(STREAM, later);
      theirs.forge(5);
      assertTrue(theirs.isGiven(later));
      theirs.forge(6);
      assertTrue(theirs.isGiven(6));
      assertFalse(theirs.isGiven(6 + Signals.CAPACITY), "the lender's next loan is its own");
      ours.give(STREAM, 6);
      assertTrue(theirs.isGiven(6), "given after all");
    }
  }

  @Test
  void shouldCountInACircle() throws IOException {
    try (Signals ours = Signals.create(gpu, folder)) {
      int last = Integer.MAX_VALUE;
      int next = last - Signals.CAPACITY + 1 + Signals.CAPACITY;
      assertEquals(Integer.MIN_VALUE, next);
      ours.give(STREAM, next - Signals.CAPACITY);
      assertFalse(ours.isGiven(next));
      ours.give(STREAM, next);
      assertTrue(ours.isGiven(next));
      assertTrue(ours.isGiven(next - Signals.CAPACITY));
    }
  }
}

package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/**
 * Classes may be begun by several threads, in any order: were there two of which each needs the
 * other to begin, these would wait for each other for ever.
 */
class ClassOrderTest {
  private static final int TRIES = 4;

  /** Begins with both at the same time, in a JVM of its own, where nobody has before. */
  static final class Begin {
    private Begin() {}

    public static void main(String[] args) throws InterruptedException {
      CountDownLatch together = new CountDownLatch(1);
      Thread one = thread(together, () -> ScaleRule.FIRST_ORDER.hashCode());
      Thread other = thread(together, () -> QuadratureScale.total(null, true));
      together.countDown();
      one.join();
      other.join();
    }

    private static Thread thread(CountDownLatch together, Runnable begin) {
      Thread thread =
          new Thread(
              () -> {
                try {
                  together.await();
                  begin.run();
                } catch (InterruptedException e) {
                  Thread.currentThread().interrupt();
                }
              });
      thread.start();
      return thread;
    }
  }

  @Test
  void shouldLetThreadsBeginWithAnyRule() throws Exception {
    for (int i = 0; i < TRIES; i++) {
      Process process =
          new ProcessBuilder(
                  Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                  "--add-modules",
                  "jdk.incubator.vector",
                  "-cp",
                  System.getProperty("java.class.path"),
                  Begin.class.getName())
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .start();
      try {
        assertTrue(process.waitFor(60, TimeUnit.SECONDS), "threads wait for each other");
        assertEquals(0, process.exitValue());
      } finally {
        process.destroyForcibly();
      }
    }
  }
}

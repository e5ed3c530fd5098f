package troupe.coordinator.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Real signals to a real JVM. */
@Timeout(60)
final class InterruptsTest {
  @Test
  void shouldHearEveryCtrlCAndEndWhenDone() throws Exception {
    assertEquals(List.of("ready", "interrupted 1", "interrupted 2"), signalled("-INT", "-INT"));
  }

  @Test
  void shouldTakeATerminationForACtrlC() throws Exception {
    assertEquals(List.of("ready", "interrupted 1", "interrupted 2"), signalled("-INT", "-TERM"));
  }

  private static List<String> signalled(String first, String second) throws Exception {
    JavaCommand java =
        JavaCommand.ofThisJvm(Patient.class.getName())
            .with(List.of("-Xmx64m", "-XX:TieredStopAtLevel=1"));
    Process process = new ProcessBuilder(java.words(List.of())).start();
    try (BufferedReader lines = process.inputReader(StandardCharsets.UTF_8)) {
      String ready = lines.readLine();
      signal(process, first);
      String one = lines.readLine();
      signal(process, second);
      String two = lines.readLine();
      assertNull(lines.readLine());
      assertTrue(process.waitFor(20, TimeUnit.SECONDS));
      return List.of(ready, one, two);
    } finally {
      process.destroyForcibly();
    }
  }

  private static void signal(Process process, String signal) throws Exception {
    assertEquals(
        0, new ProcessBuilder("kill", signal, Long.toString(process.pid())).start().waitFor());
  }

  /** Ends when it was interrupted twice. */
  static final class Patient {
    private Patient() {}

    public static void main(String[] arguments) throws InterruptedException {
      CountDownLatch twice = new CountDownLatch(2);
      try (Interrupts _ =
          Interrupts.handledBy(
              () -> {
                System.out.println("interrupted " + (3 - twice.getCount()));
                twice.countDown();
              })) {
        System.out.println("ready");
        twice.await(30, TimeUnit.SECONDS);
      }
    }
  }
}

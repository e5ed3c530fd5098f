package troupe.coordinator.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.run.RunFailedException;
import troupe.core.UserException;
import troupe.expert.Lost;

class FailureHandlerTest {
  private final StringWriter err = new StringWriter();

  private int tell(Throwable failure) {
    return FailureHandler.tell(failure, new PrintWriter(err));
  }

  @ParameterizedTest
  @CsvSource({"true, 2", "false, 1"})
  void shouldSayByTheExitCodeWhetherTheUserHasToCorrectSomething(boolean isMistake, int code) {
    assertEquals(
        code, tell(new RunFailedException(new Outcome.Failed(3, "used up", "less", isMistake))));
    assertEquals("error: used up\nHINT: less\n", err.toString());
  }

  @Test
  void shouldCallAMistakeOne() {
    assertEquals(2, tell(new UserException("used up", "less")));
  }

  @Test
  void shouldSayWhatADeviceSaysOfItself() {
    assertEquals(1, tell(new Lost()));
    assertTrue(
        err.toString().startsWith("error: fake:0: it hangs\nHINT: another one; the stack trace is"),
        err.toString());
  }
}

package troupe.core.checkpoint;

import java.io.IOException;
import java.nio.file.Path;
import troupe.core.UserException;

/** The second process of {@link RunLockTest}. */
final class RunLockHolder {
  private RunLockHolder() {}

  /**
   * Takes the lock of the folder in the first argument, prints {@code held} or {@code refused}, and
   * waits if it has it.
   */
  public static void main(String[] args) throws IOException {
    try (RunLock _ = RunLock.acquire(Path.of(args[0]))) {
      System.out.println("held");
      System.in.read();
    } catch (UserException e) {
      System.out.println("refused");
    }
  }
}

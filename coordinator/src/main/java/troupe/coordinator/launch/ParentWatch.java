package troupe.coordinator.launch;

import java.io.IOException;
import java.io.InputStream;

/**
 * Lets a node notice that the process that started it is gone, however that died: the operating
 * system then closes the other end of the node's standard input.
 */
public final class ParentWatch {
  /** The option of {@code troupe node} and {@code troupe train} that asks for it. */
  public static final String OPTION = "--watch-stdin";

  private ParentWatch() {}

  /**
   * Reads until the end of {@code stdin}, on a daemon thread.
   *
   * @param onGone told once, on that thread; should do what SIGTERM does
   */
  public static void start(InputStream stdin, Runnable onGone) {
    Thread.ofPlatform().daemon().name("parent-watch").start(() -> awaitEnd(stdin, onGone));
  }

  private static void awaitEnd(InputStream stdin, Runnable onGone) {
    byte[] unused = new byte[64];
    try {
      while (stdin.read(unused) >= 0) {
        // Nothing is ever said on it.
      }
    } catch (IOException e) {
      // A pipe that breaks is a parent that is gone, too.
    }
    onGone.run();
  }
}

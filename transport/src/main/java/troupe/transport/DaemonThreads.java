package troupe.transport;

import java.util.concurrent.ThreadFactory;

/** Threads that do not keep a JVM alive whose owner forgot to close the transport. */
final class DaemonThreads {
  private DaemonThreads() {}

  /** Makes threads of one name. */
  static ThreadFactory named(String name) {
    return task -> {
      Thread thread = new Thread(task, name);
      thread.setDaemon(true);
      return thread;
    };
  }
}

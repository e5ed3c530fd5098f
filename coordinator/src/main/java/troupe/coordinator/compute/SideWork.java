package troupe.coordinator.compute;

/** Work that compute threads do beside their own, once there is some. Safe for many threads. */
public final class SideWork {
  private volatile Task task;

  /** A short piece of it. */
  @FunctionalInterface
  public interface Task {
    /** Does what there is without waiting; returns whether there was anything. */
    boolean run();
  }

  /** No work yet. */
  SideWork() {}

  void set(Task newTask) {
    task = newTask;
  }

  /** Whether there is any to be done, now or later. */
  boolean exists() {
    return task != null;
  }

  /** Does a piece; returns whether there was anything to do. */
  boolean run() {
    Task current = task;
    return current != null && current.run();
  }
}

package troupe.core.tensor.cuda;

import java.util.ArrayDeque;
import java.util.Deque;

/**
 * What was acquired one after the other, to be given back the other way round. One that cannot be
 * given back keeps none of the others.
 */
final class Resources implements AutoCloseable {
  private final Deque<Runnable> releases = new ArrayDeque<>();

  /** Has something happen on closing, before all that was said so far. */
  void onClose(Runnable release) {
    releases.push(release);
  }

  /** Closes what was acquired so far, as a constructor does that cannot go on. */
  void closeAfter(Throwable failure) {
    try {
      close();
    } catch (RuntimeException e) {
      failure.addSuppressed(e);
    }
  }

  @Override
  public void close() {
    RuntimeException first = null;
    while (!releases.isEmpty()) {
      try {
        releases.pop().run();
      } catch (RuntimeException e) {
        if (first == null) {
          first = e;
        } else {
          first.addSuppressed(e);
        }
      }
    }
    if (first != null) {
      throw first;
    }
  }
}

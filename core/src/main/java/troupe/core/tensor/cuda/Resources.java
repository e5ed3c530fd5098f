package troupe.core.tensor.cuda;

import java.util.ArrayDeque;
import java.util.Deque;

/**
 * What was acquired one after the other, to be given back the other way round. One that cannot be
 * given back keeps none of the others.
 */
public final class Resources implements AutoCloseable {
  private final Deque<Runnable> releases = new ArrayDeque<>();

  /** Nothing yet. */
  public Resources() {}

  /** Has something happen on closing, before all that was said so far. */
  public void onClose(Runnable release) {
    releases.push(release);
  }

  /**
   * Closes what was acquired so far, as a constructor does that cannot go on.
   *
   * @param failure gets what goes wrong then as well
   */
  public void closeAfter(Throwable failure) {
    try {
      close();
    } catch (RuntimeException e) {
      failure.addSuppressed(e);
    }
  }

  /**
   * {@inheritDoc}
   *
   * @throws RuntimeException the first that a release threw, once all have been tried
   */
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

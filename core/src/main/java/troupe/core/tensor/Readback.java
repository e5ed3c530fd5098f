package troupe.core.tensor;

/** Elements on their way from a device to the host. */
public interface Readback {
  /** Whether {@link #values} would return at once. */
  boolean isDone();

  /** The elements, waiting for the device. May be asked again. */
  double[] values();

  /**
   * Runs {@code action} once the elements are here: at once, or later on a thread of the device,
   * where it has to be short.
   */
  void whenDone(Runnable action);

  /** Elements that are here. */
  static Readback of(double... values) {
    return new Readback() {
      @Override
      public boolean isDone() {
        return true;
      }

      @Override
      public double[] values() {
        return values;
      }

      @Override
      public void whenDone(Runnable action) {
        action.run();
      }
    };
  }
}

package troupe.core.tensor.check;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.ForkJoinTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.stream.IntStream;
import troupe.core.tensor.Device;
import troupe.core.tensor.reference.ReferenceDevice;

/**
 * What the reference makes of cases. Plain loops take longer than any device, so they run in the
 * background on all cores, while devices are opened and run the same cases.
 *
 * @param <C> a case
 * @param <R> its results
 */
public final class Expected<C, R> {
  /** Fifty times what two cores take. */
  private static final Duration PATIENCE = Duration.ofMinutes(2);

  private final List<C> cases;
  private final ForkJoinTask<List<R>> results;

  private Expected(List<C> cases, ForkJoinTask<List<R>> results) {
    this.cases = cases;
    this.results = results;
  }

  /** Looks at one case. */
  @FunctionalInterface
  public interface Comparison<C, R> {
    /** Throws if what was found is too far off. */
    void compare(C one, R expected, R found);
  }

  /**
   * Begins with all cases.
   *
   * @param run runs a case on the reference, in any thread
   */
  public static <C, R> Expected<C, R> begin(List<C> cases, BiFunction<Device, C, R> run) {
    return new Expected<>(
        cases,
        ForkJoinPool.commonPool()
            .submit(
                () -> {
                  try (Device reference = new ReferenceDevice()) {
                    return cases.parallelStream().map(one -> run.apply(reference, one)).toList();
                  }
                }));
  }

  /**
   * Runs all cases, one after the other, and then compares them; may be called for several devices,
   * also at the same time.
   *
   * @param run runs a case on the device
   * @return how many there were
   * @throws IllegalStateException if the reference fails, or is not done in time
   */
  public int compare(Function<C, R> run, Comparison<C, R> comparison) {
    List<R> found = cases.stream().map(run).toList();
    List<R> expected = expected();
    IntStream.range(0, cases.size())
        .forEach(i -> comparison.compare(cases.get(i), expected.get(i), found.get(i)));
    return cases.size();
  }

  private List<R> expected() {
    try {
      return results.get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
    } catch (TimeoutException e) {
      throw new IllegalStateException(
          "reference: busy with %d cases after %d s (expected: a few seconds)"
              .formatted(cases.size(), PATIENCE.toSeconds()),
          e);
    } catch (ExecutionException e) {
      throw new IllegalStateException("reference: " + e.getCause(), e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("reference: interrupted", e);
    }
  }
}

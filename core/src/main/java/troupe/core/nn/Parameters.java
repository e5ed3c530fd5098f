package troupe.core.nn;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import troupe.core.tensor.Device;
import troupe.core.tensor.Tensor;

/**
 * Named tensors in one flat buffer: the parameters of an owner, their gradients, or a moment of the
 * optimizer.
 */
public final class Parameters implements AutoCloseable {
  private final ParameterLayout layout;
  private final Tensor flat;
  private final Map<String, Tensor> views = new HashMap<>();

  /** Zeros of this layout. */
  public Parameters(Device device, ParameterLayout layout) {
    this.layout = layout;
    this.flat = device.zeros(1, Math.toIntExact(layout.size()));
    for (ParameterSpec spec : layout.specs()) {
      views.put(spec.name(), flat.slice(layout.offset(spec.name()), spec.rows(), spec.columns()));
    }
  }

  /** Parameters with the values their specs start from. */
  public static Parameters initialised(Device device, ParameterLayout layout, long seed) {
    Parameters parameters = new Parameters(device, layout);
    for (ParameterSpec spec : layout.specs()) {
      parameters
          .get(spec.name())
          .set(spec.init().values(seed, spec.name(), Math.toIntExact(spec.size())));
    }
    return parameters;
  }

  /** The layout. */
  public ParameterLayout layout() {
    return layout;
  }

  /** All elements, padding included; the padding is zero. */
  public Tensor flat() {
    return flat;
  }

  /** A parameter as a matrix of its rows and columns. */
  public Tensor get(String name) {
    Tensor view = views.get(name);
    if (view == null) {
      throw new IllegalArgumentException(
          "parameter: " + name + " (expected: one of " + views.keySet() + ")");
    }
    return view;
  }

  /** Zeros all elements but those of some parameters. */
  public void zeroAllBut(Set<String> names) {
    long from = 0;
    for (ParameterSpec spec : layout.inPlace()) {
      if (names.contains(spec.name())) {
        zero(from, layout.offset(spec.name()));
        from = layout.offset(spec.name()) + spec.size();
      }
    }
    zero(from, layout.size());
  }

  private void zero(long from, long to) {
    if (from < to) {
      flat.device().kernels().fill(flat.slice(from, 1, Math.toIntExact(to - from)), 0);
    }
  }

  @Override
  public void close() {
    flat.close();
  }
}

package troupe.core.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import troupe.Closeness;
import troupe.core.tensor.Activation;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Tensor;

final class FeedForwardTest {
  private static final long SEED = 3;
  private static final int ROWS = 5;
  private static final int WIDTH = 4;
  private static final int HIDDEN = 7;
  private static final double STRIDE = 1e-6;

  /** Central differences of a sum of numbers near 1: rounding leaves 1e-16 over the stride. */
  private static final double RELATIVE = 1e-7;

  private static final double FLOOR = 1e-8;

  private final Device device = Devices.open("reference");
  private final SplittableRandom random = new SplittableRandom(SEED);

  private Parameters parameters(Activation activation) {
    ParameterLayout layout =
        new ParameterLayout(FeedForward.specs("f.", WIDTH, HIDDEN, activation, 0.5, 0.5));
    Parameters parameters = Parameters.initialised(device, layout, SEED);
    for (String bias : new String[] {"f.b1", "f.b2"}) {
      Tensor b = parameters.get(bias);
      b.set(random.doubles(b.size(), -1, 1).toArray());
    }
    return parameters;
  }

  /** {@code sum of dY * y}, whose gradient by y is dY. */
  private double loss(Parameters parameters, Activation activation, Tensor x, double[] dY) {
    double sum = 0;
    try (Tensor y = device.allocate(ROWS, WIDTH)) {
      new FeedForward(device, parameters, "f.", activation).forward(y, x).close();
      double[] values = y.toDoubles();
      for (int i = 0; i < values.length; i++) {
        sum += dY[i] * values[i];
      }
    }
    return sum;
  }

  private double[] differences(
      Tensor moved, Parameters parameters, Activation activation, Tensor x, double[] dY) {
    double[] values = moved.toDoubles();
    double[] differences = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      double[] other = values.clone();
      other[i] = values[i] + STRIDE;
      moved.set(other);
      double above = loss(parameters, activation, x, dY);
      other[i] = values[i] - STRIDE;
      moved.set(other);
      differences[i] = (above - loss(parameters, activation, x, dY)) / (2 * STRIDE);
    }
    moved.set(values);
    return differences;
  }

  @ParameterizedTest
  @EnumSource
  void shouldMatchFiniteDifferences(Activation activation) {
    long before = device.allocatedBytes();
    double[] dY = random.doubles(ROWS * WIDTH, -1, 1).toArray();
    try (Parameters parameters = parameters(activation);
        Parameters gradients = new Parameters(device, parameters.layout());
        Tensor x = device.of(ROWS, WIDTH, random.doubles(ROWS * WIDTH, -1, 1).toArray());
        Tensor y = device.allocate(ROWS, WIDTH);
        Tensor g = device.of(ROWS, WIDTH, dY);
        Tensor dX = device.allocate(ROWS, WIDTH)) {
      FeedForward network = new FeedForward(device, parameters, "f.", activation);
      device.kernels().fill(gradients.flat(), 9);
      // The first overwrites what was there, the second adds; input gradients never add.
      for (boolean accumulate : new boolean[] {false, true}) {
        try (FeedForward.Saved saved = network.forward(y, x)) {
          network.backwardInput(dX, g, saved);
          network.backwardWeights(gradients, "f.", g, x, saved, accumulate);
        }
      }
      Closeness.assertClose(
          "dX seed=" + SEED,
          differences(x, parameters, activation, x, dY),
          dX.toDoubles(),
          RELATIVE,
          FLOOR);
      for (ParameterSpec spec : parameters.layout().specs()) {
        double[] expected =
            Arrays.stream(differences(parameters.get(spec.name()), parameters, activation, x, dY))
                .map(difference -> 2 * difference)
                .toArray();
        Closeness.assertClose(
            "d" + spec.name() + " seed=" + SEED,
            expected,
            gradients.get(spec.name()).toDoubles(),
            RELATIVE,
            FLOOR);
      }
    }
    assertEquals(before, device.allocatedBytes());
  }

  /** The reference device, but what is kept becomes no gradient; and a product may fail. */
  private final class Keeping implements InvocationHandler {
    private boolean failing;

    Device device() {
      return (Device)
          Proxy.newProxyInstance(
              Device.class.getClassLoader(), new Class<?>[] {Device.class, Kernels.class}, this);
    }

    @Override
    public Object invoke(Object proxy, Method method, Object[] arguments) throws Throwable {
      switch (method.getName()) {
        case "kernels" -> {
          return proxy;
        }
        case "overwritesKept" -> {
          return false;
        }
        case "matmul" -> {
          if (failing) {
            throw new IllegalStateException("matmul");
          }
        }
        default -> {}
      }
      Object self = method.getDeclaringClass() == Kernels.class ? device.kernels() : device;
      return method.invoke(self, arguments);
    }
  }

  @ParameterizedTest
  @EnumSource
  void shouldGiveTheSameGradientsWhenWhatIsKeptBecomesNone(Activation activation) {
    Keeping keeping = new Keeping();
    try (Parameters parameters = parameters(activation);
        Parameters gradients = new Parameters(device, parameters.layout());
        Tensor x = device.of(ROWS, WIDTH, random.doubles(ROWS * WIDTH, -1, 1).toArray());
        Tensor g = device.of(ROWS, WIDTH, random.doubles(ROWS * WIDTH, -1, 1).toArray());
        Tensor y = device.allocate(ROWS, WIDTH);
        Tensor dX = device.allocate(ROWS, WIDTH)) {
      FeedForward inPlace = new FeedForward(device, parameters, "f.", activation);
      try (FeedForward.Saved saved = inPlace.forward(y, x)) {
        inPlace.backwardInput(dX, g, saved);
        inPlace.backwardWeights(gradients, "f.", g, x, saved, false);
      }
      double[] expectedInput = dX.toDoubles();
      double[] expectedWeights = gradients.flat().toDoubles();
      long before = device.allocatedBytes();
      FeedForward network = new FeedForward(keeping.device(), parameters, "f.", activation);
      try (FeedForward.Saved saved = network.forward(y, x)) {
        long kept = device.allocatedBytes();
        keeping.failing = true;
        assertThrows(RuntimeException.class, () -> network.backwardInput(dX, g, saved));
        assertEquals(kept, device.allocatedBytes());
        keeping.failing = false;
        network.backwardInput(dX, g, saved);
        assertEquals(kept, device.allocatedBytes());
        network.backwardWeights(gradients, "f.", g, x, saved, false);
      }
      assertEquals(before, device.allocatedBytes());
      assertArrayEquals(expectedInput, dX.toDoubles());
      assertArrayEquals(expectedWeights, gradients.flat().toDoubles());
    }
  }

  @ParameterizedTest
  @EnumSource
  void shouldTakeNoRows(Activation activation) {
    try (Parameters parameters = parameters(activation);
        Parameters gradients = new Parameters(device, parameters.layout());
        Tensor none = device.allocate(0, WIDTH);
        Tensor out = device.allocate(0, WIDTH)) {
      FeedForward network = new FeedForward(device, parameters, "f.", activation);
      try (FeedForward.Saved saved = network.forward(out, none)) {
        network.backwardInput(out, none, saved);
        network.backwardWeights(gradients, "f.", none, none, saved, false);
      }
      assertArrayEquals(new double[(int) gradients.flat().size()], gradients.flat().toDoubles());
    }
  }
}

package troupe.coordinator.bench;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.LongAdder;
import troupe.core.tensor.DType;
import troupe.core.tensor.Device;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Tensor;

/** A device that times its kernels. Times are of the calling thread, summed over threads. */
final class ProfiledDevice implements Device {
  private final Device device;
  private final Kernels timed;
  private final Map<String, LongAdder> nanos = new ConcurrentHashMap<>();

  ProfiledDevice(Device device) {
    this.device = device;
    this.timed =
        (Kernels)
            Proxy.newProxyInstance(
                Kernels.class.getClassLoader(), new Class<?>[] {Kernels.class}, this::call);
  }

  private Object call(Object proxy, Method method, Object[] arguments) throws Throwable {
    long began = System.nanoTime();
    try {
      return method.invoke(device.kernels(), arguments);
    } catch (InvocationTargetException e) {
      throw e.getCause();
    } finally {
      nanos
          .computeIfAbsent(method.getName(), name -> new LongAdder())
          .add(System.nanoTime() - began);
    }
  }

  /** Begins anew. */
  void reset() {
    nanos.clear();
  }

  /** Nanoseconds by kernel since the last {@link #reset}, over all threads. */
  Map<String, Long> nanosByKernel() {
    Map<String, Long> sums = new TreeMap<>();
    nanos.forEach((name, sum) -> sums.put(name, sum.sum()));
    return sums;
  }

  @Override
  public String name() {
    return device.name();
  }

  @Override
  public DType dtype() {
    return device.dtype();
  }

  @Override
  public Kernels kernels() {
    return timed;
  }

  @Override
  public Tensor allocate(int rows, int columns) {
    return device.allocate(rows, columns);
  }

  @Override
  public long allocatedBytes() {
    return device.allocatedBytes();
  }

  @Override
  public void close() {
    device.close();
  }
}

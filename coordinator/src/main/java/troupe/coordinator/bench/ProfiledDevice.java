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
import troupe.core.tensor.KernelProfiler;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Readback;
import troupe.core.tensor.RoutingKernels;
import troupe.core.tensor.Staged;
import troupe.core.tensor.Tensor;

/** A device that times its kernels. Times are of the calling thread, summed over threads. */
final class ProfiledDevice implements Device, KernelProfiler {
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

  @Override
  public void begin() {
    nanos.clear();
  }

  @Override
  public Map<String, Long> end() {
    Map<String, Long> sums = new TreeMap<>();
    nanos.forEach((name, sum) -> sums.put(name, sum.sum()));
    return sums;
  }

  @Override
  public KernelProfiler profiler() {
    return this;
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
  public DType activationType() {
    return device.activationType();
  }

  @Override
  public Tensor allocateActivations(int rows, int columns) {
    return device.allocateActivations(rows, columns);
  }

  @Override
  public int updateChunk() {
    return device.updateChunk();
  }

  @Override
  public boolean isHostMemory() {
    return device.isHostMemory();
  }

  @Override
  public Readback read(Tensor tensor) {
    return device.read(tensor);
  }

  @Override
  public RoutingKernels routing() {
    return device.routing();
  }

  @Override
  public Staged receive(long bytes) {
    return device.receive(bytes);
  }

  @Override
  public Tensor copyIn(int rows, int columns, boolean activations, Staged from) {
    return device.copyIn(rows, columns, activations, from);
  }

  @Override
  public Fence fence() {
    return device.fence();
  }

  /** Tensors say that they are on the device behind this one: those are here already. */
  @Override
  public Tensor fetch(Tensor from, Fence ready, boolean last) {
    if (from.device() != device) {
      return device.fetch(from, ready, last);
    }
    // Of rows that their owner keeps a view, for closing it does nothing.
    return last ? from : from.rows(0, from.rows());
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

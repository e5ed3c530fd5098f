package troupe.core.tensor;

import java.util.List;

/**
 * The devices of a process: one, or several GPUs. All are of one kind.
 *
 * @param devices at least one
 */
public record DeviceGroup(List<Device> devices) implements AutoCloseable {
  /** Copies the list. */
  public DeviceGroup {
    devices = List.copyOf(devices);
    if (devices.isEmpty()) {
      throw new IllegalArgumentException("devices: none (expected: at least one)");
    }
  }

  /** A group of one. */
  public static DeviceGroup of(Device device) {
    return new DeviceGroup(List.of(device));
  }

  /** The first, which stands for all where only their kind matters. */
  public Device first() {
    return devices.getFirst();
  }

  /** How many. */
  public int size() {
    return devices.size();
  }

  /** Bytes of memory of its own that each has; 0 where that is the host's. */
  public List<Long> memoryBytes() {
    return devices.stream().map(Device::memoryBytes).toList();
  }

  @Override
  public void close() {
    devices.forEach(Device::close);
  }
}

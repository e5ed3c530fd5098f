package troupe.coordinator.compute;

import akka.actor.typed.ActorSystem;
import akka.actor.typed.javadsl.Adapter;
import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import java.time.Duration;
import java.util.Collections;
import java.util.Map;
import java.util.WeakHashMap;
import troupe.core.tensor.Device;
import troupe.core.tensor.DeviceGroup;

/**
 * The pool on which routers and experts compute: its own, so that Akka's threads are never kept
 * waiting.
 */
public final class ComputeThreads {
  private static final String DISPATCHER = "troupe.compute-dispatcher";
  private static final String POOL_SIZE = DISPATCHER + ".pool-size";
  private static final String EAGER = DISPATCHER + ".eager";
  private static final String COORDINATOR_EAGER = "troupe.coordinator-dispatcher.eager";
  private static final String HOST_EAGER = "troupe.host-dispatcher.eager";

  /** As long as a large step: between messages of one, a thread that drives a GPU never sleeps. */
  private static final Duration EAGER_FOR_GPUS = Duration.ofMillis(100);

  /** Akka makes a pool from its settings alone: they are what a pool and its system share. */
  private static final Map<Object, SideWork> SIDE_WORK =
      Collections.synchronizedMap(new WeakHashMap<>());

  private ComputeThreads() {}

  /**
   * How many threads compute: as many as {@code cluster.threads} says, 0 being one a core; or one a
   * device where devices have memory of their own: it hands the device its work, in one order.
   */
  public static int count(int configured, DeviceGroup devices) {
    return devices.first().isHostMemory() ? count(configured) : devices.size();
  }

  /** The same for devices that are the host. */
  public static int count(int configured) {
    return configured > 0 ? configured : Runtime.getRuntime().availableProcessors();
  }

  /** Akka's settings with threads for these devices. */
  public static Config configure(int configured, DeviceGroup devices, Config settings) {
    if (devices.first().isHostMemory()) {
      return configure(count(configured), settings);
    }
    // Beside them run those who wait for GPUs to answer, host and coordinator, and Akka.
    int cores = Math.min(count(configured), count(0));
    boolean hasCores = cores > 2 * devices.size() + 2;
    Duration eager = hasCores ? EAGER_FOR_GPUS : Duration.ZERO;
    Config threads =
        ConfigFactory.parseMap(Map.of(EAGER, eager, COORDINATOR_EAGER, eager, HOST_EAGER, eager))
            .withFallback(configure(1, settings));
    for (int i = 1; i < devices.size(); i++) {
      threads = threads.withValue(dispatcher(i), threads.getValue(dispatcher(0)));
    }
    return threads;
  }

  /** Akka's settings with so many threads for the host's own devices. */
  public static Config configure(int threads, Config settings) {
    return ConfigFactory.parseMap(Map.of(POOL_SIZE, threads)).withFallback(settings);
  }

  /** The dispatcher of what lives on a device of the group: all that are the host share theirs. */
  public static String dispatcher(DeviceGroup devices, Device device) {
    return dispatcher(device.isHostMemory() ? 0 : devices.devices().indexOf(device));
  }

  private static String dispatcher(int device) {
    return device == 0 ? DISPATCHER : DISPATCHER + "-" + device;
  }

  /**
   * What the threads of a system do beside computing: after each message, and over and over while
   * there is none.
   *
   * @param work must never wait; says whether it did anything
   */
  public static void besideComputing(ActorSystem<?> system, SideWork.Task work) {
    sideWork(Adapter.toClassic(system).settings()).set(work);
  }

  static SideWork sideWork(akka.actor.ActorSystem.Settings settings) {
    return SIDE_WORK.computeIfAbsent(settings, it -> new SideWork());
  }
}

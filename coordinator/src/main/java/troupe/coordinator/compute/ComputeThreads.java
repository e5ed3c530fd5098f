package troupe.coordinator.compute;

import akka.actor.typed.ActorSystem;
import akka.actor.typed.javadsl.Adapter;
import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import java.util.Collections;
import java.util.Map;
import java.util.WeakHashMap;
import troupe.core.tensor.Device;

/**
 * The pool on which routers and experts compute: its own, so that Akka's threads are never kept
 * waiting.
 */
public final class ComputeThreads {
  private static final String POOL_SIZE = "troupe.compute-dispatcher.pool-size";

  /** Akka makes a pool from its settings alone: they are what a pool and its system share. */
  private static final Map<Object, SideWork> SIDE_WORK =
      Collections.synchronizedMap(new WeakHashMap<>());

  private ComputeThreads() {}

  /**
   * The size that {@code cluster.threads} asks for; 0 asks for one a core. A device with memory of
   * its own computes by itself: one thread hands it its work, in one order.
   */
  public static int count(int configured, Device device) {
    if (!device.isHostMemory()) {
      return 1;
    }
    return count(configured);
  }

  /** The same for devices that are the host. */
  public static int count(int configured) {
    return configured > 0 ? configured : Runtime.getRuntime().availableProcessors();
  }

  /** Akka's settings with a pool of that size. */
  public static Config configure(int threads, Config settings) {
    return ConfigFactory.parseMap(Map.of(POOL_SIZE, threads)).withFallback(settings);
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

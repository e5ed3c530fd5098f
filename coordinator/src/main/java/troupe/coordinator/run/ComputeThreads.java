package troupe.coordinator.run;

import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import java.util.Map;

/**
 * The pool on which routers and experts compute: its own, so that Akka's threads are never kept
 * waiting.
 */
public final class ComputeThreads {
  private static final String POOL_SIZE =
      "troupe.compute-dispatcher.thread-pool-executor.fixed-pool-size";

  private ComputeThreads() {}

  /** The size that {@code cluster.threads} asks for; 0 asks for one a core. */
  public static int count(int configured) {
    return configured > 0 ? configured : Runtime.getRuntime().availableProcessors();
  }

  /** Akka's settings with a pool of that size. */
  public static Config configure(int configured, Config settings) {
    return ConfigFactory.parseMap(Map.of(POOL_SIZE, count(configured))).withFallback(settings);
  }
}

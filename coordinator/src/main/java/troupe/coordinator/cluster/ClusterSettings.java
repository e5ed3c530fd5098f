package troupe.coordinator.cluster;

import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import troupe.core.UserException;
import troupe.core.config.RunConfig;

/** Akka's settings of a node, and of the command line's visits to a node. */
public final class ClusterSettings {
  private static final String RESOURCE = "cluster.conf";

  private ClusterSettings() {}

  /**
   * Of a member of a cluster: Artery on {@code host:port}, mutual TLS if there is a folder for it.
   *
   * @param compute settings of the threads that compute
   * @throws UserException if that folder does not hold what it should
   */
  public static Config node(RunConfig.Cluster config, Config compute) {
    Map<String, Object> settings = new HashMap<>();
    settings.put("akka.remote.artery.canonical.port", config.port());
    if (!config.name().isEmpty()) {
      settings.put("akka.cluster.roles", List.of(NodeNames.role(config.name())));
    }
    return remote(settings, config.host(), config.tlsDirectory()).withFallback(compute);
  }

  /**
   * Of a process that talks to nodes and is none.
   *
   * @param host the address under which nodes reach it
   */
  static Config visitor(String host, String tlsDirectory) {
    Map<String, Object> settings = new HashMap<>();
    settings.put("akka.actor.provider", "remote");
    settings.put("akka.remote.artery.canonical.port", 0);
    // Meant: a visitor watches nobody.
    settings.put("akka.remote.warn-about-direct-use", false);
    settings.put("akka.remote.use-unsafe-remote-features-outside-cluster", false);
    return remote(settings, host, tlsDirectory).withFallback(ConfigFactory.load());
  }

  private static Config remote(Map<String, Object> settings, String host, String tlsDirectory) {
    settings.put("akka.remote.artery.canonical.hostname", host);
    if (!tlsDirectory.isEmpty()) {
      settings.putAll(Tls.read(tlsDirectory).akkaSettings());
    }
    return ConfigFactory.parseMap(settings)
        .withFallback(
            ConfigFactory.parseResources(ClusterSettings.class.getClassLoader(), RESOURCE));
  }
}

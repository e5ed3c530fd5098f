package troupe.coordinator.cluster;

import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import troupe.core.config.ResolvedConfig;
import troupe.core.config.RunConfig;

/**
 * What has to be the same on all nodes of a run, and the name, which must not.
 *
 * @param version of Troupe
 * @param wire version of the control messages between nodes
 * @param run the name of the run: the last part of its folder
 * @param config the keys that decide the bits, each with its value as HOCON
 * @param node what people call this node; empty = its address
 */
public record Identity(
    String version, int wire, String run, Map<String, String> config, String node) {
  /** Copies the map. */
  public Identity {
    config = Collections.unmodifiableMap(new LinkedHashMap<>(config));
  }

  /** Of a node with this config. */
  public static Identity of(RunConfig config, int wire) {
    return new Identity(
        ownVersion(),
        wire,
        runName(config),
        ResolvedConfig.deciding(config),
        config.cluster().name());
  }

  /** The name of the run of a config; nodes may keep it in different places. */
  static String runName(RunConfig config) {
    return Path.of(config.run().dir()).toAbsolutePath().normalize().getFileName().toString();
  }

  static String ownVersion() {
    String version = Identity.class.getPackage().getImplementationVersion();
    return version == null ? "(not packaged)" : version;
  }
}

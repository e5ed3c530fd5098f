package troupe.coordinator.cli;

import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Parameters;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;

/** The arguments of verbs that train: a config, and what differs from it. */
final class ConfigArguments {
  @Parameters(
      index = "0",
      paramLabel = "CONFIG",
      description = "A config, such as configs/quickstart.conf or configs/cluster-local.conf.")
  private Path file;

  @Parameters(
      index = "1..*",
      arity = "0..*",
      paramLabel = "KEY=VALUE",
      description = "What differs from it; configs/defaults.conf explains every key.")
  private List<String> overrides = List.of();

  Path file() {
    return file;
  }

  List<String> overrides() {
    return overrides;
  }

  /** The config of both. */
  RunConfig load() {
    return ConfigLoader.load(file, overrides);
  }
}

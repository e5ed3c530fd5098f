package troupe.core.config;

import com.typesafe.config.Config;
import com.typesafe.config.ConfigException;
import com.typesafe.config.ConfigFactory;
import com.typesafe.config.ConfigParseOptions;
import com.typesafe.config.ConfigValueFactory;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import troupe.core.UserException;

/**
 * Reads a {@link RunConfig}: first the overrides, the last of the same key first; then the file;
 * then {@code defaults.conf}, a copy of which is in the jar. So a config has only what differs,
 * wherever it lies. Every mistake is reported in one {@link UserException}.
 */
public final class ConfigLoader {
  /** What the origins of values from the command line start with. */
  static final String OVERRIDE = "override ";

  private static final String DEFAULTS = "defaults.conf";

  private ConfigLoader() {}

  /**
   * Reads a HOCON file. {@code include "other"} looks beside it. If nothing sets {@code run.dir},
   * it is {@code runs/NAME} for {@code NAME.conf}.
   *
   * @param overrides each {@code key=value}; {@code resume=true} is short for {@code
   *     run.resume=true}
   * @throws UserException if the file cannot be read, or a key or value is wrong
   */
  public static RunConfig load(Path file, List<String> overrides) {
    if (!Files.isRegularFile(file) || !Files.isReadable(file)) {
      throw new UserException(
          "config: " + file + " (expected: a readable file)",
          "name a file such as configs/quickstart.conf");
    }
    String baseName = file.getFileName().toString().replaceFirst("\\.[^.]+$", "");
    return read(
        file.toString(),
        () -> ConfigFactory.parseFile(file.toFile()),
        overrides,
        "runs/" + baseName);
  }

  /**
   * Reads HOCON from a string, such as that of {@link ResolvedConfig#render}. If nothing sets
   * {@code run.dir}, it is {@code runs/unnamed}.
   *
   * @param overrides as for {@link #load}
   * @throws UserException if a key or value is wrong
   */
  public static RunConfig parse(String hocon, List<String> overrides) {
    ConfigParseOptions options = ConfigParseOptions.defaults().setOriginDescription("config");
    return read(
        "the config", () -> ConfigFactory.parseString(hocon, options), overrides, "runs/unnamed");
  }

  /** Parses late, so that syntax errors of all layers are caught in one place. */
  private interface Layer {
    Config parse();
  }

  private static RunConfig read(
      String name, Layer file, List<String> overrides, String defaultDir) {
    Config merged;
    try {
      Config above = ConfigFactory.empty();
      for (String override : overrides) {
        above = Override.parse(override).withFallback(above);
      }
      merged = above.withFallback(file.parse()).withFallback(defaults()).resolve();
    } catch (ConfigException e) {
      throw new UserException(
          "config: " + e.getMessage(), "correct the syntax of " + name + " (HOCON)", e);
    }
    RecordBinder binder = new RecordBinder();
    Config named = withRunDir(merged, defaultDir);
    return binder
        .bind(RunConfig.class, named.root())
        .orElseThrow(
            () ->
                new UserException(
                    String.join("\n", binder.problems()),
                    "correct "
                        + name
                        + " or pass KEY=VALUE; configs/defaults.conf explains all"
                        + " keys"));
  }

  private static Config withRunDir(Config config, String defaultDir) {
    boolean empty = config.hasPath("run.dir") && config.getValue("run.dir").unwrapped().equals("");
    return empty ? config.withValue("run.dir", ConfigValueFactory.fromAnyRef(defaultDir)) : config;
  }

  private static Config defaults() {
    ConfigParseOptions options = ConfigParseOptions.defaults().setOriginDescription(DEFAULTS);
    try (InputStream stream = ConfigLoader.class.getResourceAsStream(DEFAULTS)) {
      if (stream == null) {
        throw new IllegalStateException(DEFAULTS + ": missing (expected: a copy in the jar)");
      }
      Reader reader = new InputStreamReader(stream, StandardCharsets.UTF_8);
      return ConfigFactory.parseReader(reader, options);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** One {@code key=value} of the command line. */
  private static final class Override {
    private static final Map<String, String> SHORT = Map.of("resume", "run.resume");

    /**
     * The value is HOCON, except that for a key that takes text it is that text: paths and globs
     * need no quotes on the command line.
     */
    static Config parse(String override) {
      int equals = override.indexOf('=');
      if (equals < 1) {
        throw new UserException(
            "override: " + override + " (expected: KEY=VALUE)", "write e.g. train.steps=100");
      }
      String written = override.substring(0, equals).strip();
      String key = SHORT.getOrDefault(written, written);
      String value = override.substring(equals + 1).strip();
      String origin = OVERRIDE + override;
      if (Keys.TYPES.get(key) == String.class && !value.startsWith("\"")) {
        return ConfigValueFactory.fromAnyRef(value, origin).atPath(key);
      }
      boolean list = Keys.TYPES.get(key) != null && !(Keys.TYPES.get(key) instanceof Class<?>);
      if (list && !value.startsWith("[")) {
        return ConfigValueFactory.fromAnyRef(List.of(value), origin).atPath(key);
      }
      ConfigParseOptions options = ConfigParseOptions.defaults().setOriginDescription(origin);
      return ConfigFactory.parseString(key + " = " + value, options);
    }
  }
}

package troupe.core.tensor.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import troupe.core.tensor.cuda.driver.Nvrtc;

/**
 * The kernels, compiled for a GPU. What the compiler made is kept in the user's cache folder under
 * a hash of source, options and version: the second start takes milliseconds.
 */
final class KernelSources {
  /** Each makes a module. */
  static final List<String> FILES = List.of("dense", "gates", "routing", "attention", "products");

  private static final Logger LOG = LoggerFactory.getLogger(KernelSources.class);

  private KernelSources() {}

  /**
   * Machine code of all kernels, one module a file.
   *
   * @param capability ten times the compute capability
   */
  static List<byte[]> compile(Nvrtc compiler, int capability) {
    List<String> options = options(capability);
    return FILES.parallelStream()
        .map(file -> compile(compiler, file + ".cu", source(file), options))
        .toList();
  }

  /** What a GPU is compiled for with. */
  static List<String> options(int capability) {
    // Only the "a" variants know Hopper's and Blackwell's own instructions.
    String architecture = "sm_" + capability + (capability >= 90 && capability < 120 ? "a" : "");
    return List.of("--gpu-architecture=" + architecture, "--std=c++17", "--diag-suppress=177");
  }

  /** One of {@link #FILES} with what it needs of others before it. */
  static String source(String file) {
    return text("prelude") + text("activations") + text("draws") + text(file);
  }

  private static String text(String file) {
    try (InputStream in = KernelSources.class.getResourceAsStream(file + ".cu")) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static byte[] compile(Nvrtc compiler, String name, String source, List<String> options) {
    Path cached = cacheFolder().resolve(hash(compiler.version() + options + source) + ".cubin");
    try {
      if (Files.isReadable(cached)) {
        return Files.readAllBytes(cached);
      }
    } catch (IOException e) {
      LOG.debug("{} not read, compiling anew: {}", cached, e.toString());
    }
    Nvrtc.Compiled compiled = compiler.compile(name, source, options);
    if (!compiled.messages().isEmpty()) {
      LOG.warn("{} by NVRTC {}: {}", name, compiler.version(), compiled.messages());
    }
    keep(cached, compiled.code());
    return compiled.code();
  }

  private static Path cacheFolder() {
    String cache = System.getenv("XDG_CACHE_HOME");
    Path base =
        cache == null || cache.isBlank()
            ? Path.of(System.getProperty("user.home"), ".cache")
            : Path.of(cache);
    return base.resolve("troupe").resolve("cuda");
  }

  /** A folder that cannot be written only costs the time to compile. */
  private static void keep(Path file, byte[] code) {
    try {
      Files.createDirectories(file.getParent());
      Path part = Files.createTempFile(file.getParent(), "part", ".cubin");
      try {
        Files.write(part, code);
        Files.move(part, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      } finally {
        Files.deleteIfExists(part);
      }
    } catch (IOException e) {
      LOG.debug("kernels not kept in {}: {}", file.getParent(), e.toString());
    }
  }

  private static String hash(String text) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      return HexFormat.of().formatHex(digest.digest(text.getBytes(StandardCharsets.UTF_8)));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}

package troupe.coordinator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Threads may begin with any class. Were there two of which each needs the other to begin, two
 * threads that begin with one each would wait for each other for ever; once, {@code doctor} did.
 */
class ClassOrderTest {
  /** A JVM of its own, which says of each class whether it has begun. */
  static final class Begin {
    private Begin() {}

    public static void main(String[] args) throws Exception {
      List<String> names = Files.readAllLines(Path.of(args[0]));
      Map<String, Set<String>> begunWith = new TreeMap<>();
      for (String name : names) {
        begunWith.put(name, begunWith(name));
      }
      begunWith.forEach(
          (one, others) -> {
            for (String other : others) {
              boolean isBoth = begunWith.getOrDefault(other, Set.of()).contains(one);
              // Nobody begins with the body of an enum's constant, say, but by way of the enum.
              if (one.compareTo(other) < 0 && isBoth && !other.startsWith(one + "$")) {
                System.out.println(one + " and " + other + " need each other to begin");
              }
            }
          });
    }

    /** Troupe's classes that begin when one does. */
    private static Set<String> begunWith(String name) throws Exception {
      Fresh fresh = new Fresh();
      try {
        Class.forName(name, true, fresh);
      } catch (LinkageError e) {
        // Some library is not here; what had begun before it is known.
      }
      Class<?> unsafe = Class.forName("jdk.internal.misc.Unsafe");
      Method isLeft = unsafe.getMethod("shouldBeInitialized", Class.class);
      Object theUnsafe = unsafe.getMethod("getUnsafe").invoke(null);
      Set<String> begun = new HashSet<>();
      for (Class<?> one : fresh.defined) {
        if (!(boolean) isLeft.invoke(theUnsafe, one)) {
          begun.add(one.getName());
        }
      }
      return begun;
    }
  }

  /** Has Troupe's classes once more, none of which has begun. */
  private static final class Fresh extends ClassLoader {
    private final List<Class<?>> defined = new ArrayList<>();

    @Override
    protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
      if (!name.startsWith("troupe.")) {
        return super.loadClass(name, resolve);
      }
      Class<?> loaded = findLoadedClass(name);
      if (loaded != null) {
        return loaded;
      }
      try (InputStream in = getParent().getResourceAsStream(name.replace('.', '/') + ".class")) {
        if (in == null) {
          throw new ClassNotFoundException(name);
        }
        byte[] bytes = in.readAllBytes();
        Class<?> one = defineClass(name, bytes, 0, bytes.length);
        defined.add(one);
        return one;
      } catch (IOException e) {
        throw new ClassNotFoundException(name, e);
      }
    }
  }

  @Test
  void shouldLetThreadsBeginWithAnyClass(@TempDir Path folder) throws Exception {
    Path names = folder.resolve("classes");
    Path found = folder.resolve("found");
    Files.write(names, names());
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules",
                "jdk.incubator.vector",
                "--add-opens=java.base/jdk.internal.misc=ALL-UNNAMED",
                "--enable-native-access=ALL-UNNAMED",
                "-Xshare:auto",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                Begin.class.getName(),
                names.toString())
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .redirectOutput(found.toFile())
            .start();
    try {
      assertTrue(process.waitFor(60, TimeUnit.SECONDS), "not over after 60 s");
      assertEquals("", Files.readString(found, StandardCharsets.UTF_8));
      assertEquals(0, process.exitValue());
    } finally {
      process.destroyForcibly();
    }
  }

  /** Of the modules' folders, or of their jars where these are built before tests run. */
  private static List<String> names() throws IOException {
    List<String> names = new ArrayList<>();
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
      Path path = Path.of(entry);
      if (path.endsWith("classes")) {
        addNames(path, names);
      } else if (entry.endsWith(".jar") && path.getParent().endsWith("target")) {
        try (FileSystem jar = FileSystems.newFileSystem(path)) {
          addNames(jar.getPath("/"), names);
        }
      }
    }
    assertTrue(names.size() > 500, "classes found: " + names.size());
    return names;
  }

  private static void addNames(Path root, List<String> names) throws IOException {
    if (!Files.isDirectory(root.resolve("troupe"))) {
      return;
    }
    try (Stream<Path> files = Files.walk(root.resolve("troupe"))) {
      files
          .map(file -> root.relativize(file).toString().replace(File.separatorChar, '.'))
          .filter(name -> name.endsWith(".class") && !name.endsWith("package-info.class"))
          .map(name -> name.substring(0, name.length() - ".class".length()))
          // Takes seconds: it loads a library.
          .filter(name -> !name.contains(".nd4j."))
          .forEach(names::add);
    }
  }
}

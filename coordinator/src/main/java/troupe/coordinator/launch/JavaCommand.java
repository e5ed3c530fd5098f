package troupe.coordinator.launch;

import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * How to start a JVM.
 *
 * @param java the java binary
 * @param flags of the JVM, such as {@code -Xmx1g}
 * @param classPath as {@code -cp} takes it
 * @param mainClass the class whose main method runs
 */
public record JavaCommand(Path java, List<String> flags, String classPath, String mainClass) {
  /** Copies the flags. */
  public JavaCommand {
    flags = List.copyOf(flags);
  }

  /** Another main class under the java binary, flags and class path of this JVM. */
  public static JavaCommand ofThisJvm(String mainClass) {
    List<String> flags =
        ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
            // A debugger's port cannot be had twice.
            .filter(flag -> !flag.startsWith("-agentlib:jdwp") && !flag.startsWith("-Xrunjdwp"))
            .toList();
    return new JavaCommand(
        Path.of(System.getProperty("java.home"), "bin", "java"),
        flags,
        System.getProperty("java.class.path"),
        mainClass);
  }

  /** The same with more flags; of two that contradict each other Java takes the later. */
  public JavaCommand with(List<String> moreFlags) {
    List<String> all = new ArrayList<>(flags);
    all.addAll(moreFlags);
    return new JavaCommand(java, all, classPath, mainClass);
  }

  /** The words of the command. */
  public List<String> words(List<String> arguments) {
    List<String> words = new ArrayList<>();
    words.add(java.toString());
    words.addAll(flags);
    words.addAll(List.of("-cp", classPath, mainClass));
    words.addAll(arguments);
    return words;
  }
}

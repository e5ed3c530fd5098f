package troupe.coordinator.launch;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;

/**
 * Stands in for {@code troupe} in child JVMs of tests. What a node does is a system property of its
 * name, or of {@code alone} for {@code troupe train}, a list of words:
 *
 * <ul>
 *   <li>{@code print:TEXT} and {@code error:TEXT} write a line
 *   <li>{@code exit:CODE} ends
 *   <li>{@code file:PATH} waits until there is such a file
 *   <li>{@code stay} waits for ever; SIGTERM ends it with 130
 *   <li>{@code deaf} waits for ever, whatever SIGTERM says
 *   <li>{@code train} takes part in a {@link FakeRun}
 * </ul>
 */
public final class FakeNode {
  /** The end of all lists that end otherwise: a test that fails leaves no process for long. */
  private static final Duration LONGEST = Duration.ofMinutes(2);

  private FakeNode() {}

  /** How to start this. */
  public static JavaCommand command(String... flags) {
    JavaCommand java = JavaCommand.ofThisJvm(FakeNode.class.getName());
    List<String> light = List.of("-Xmx64m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC");
    return new JavaCommand(
            java.java(),
            java.flags().stream().filter(flag -> !flag.startsWith("-Xmx")).toList(),
            java.classPath(),
            java.mainClass())
        .with(light)
        .with(List.of(flags));
  }

  /** Does what the property of its node says. */
  public static void main(String[] arguments) throws Exception {
    List<String> all = List.of(arguments);
    String name = all.getFirst().equals("train") ? "alone" : value(all, "cluster.name");
    if (all.contains(ParentWatch.OPTION)) {
      ParentWatch.start(System.in, () -> Runtime.getRuntime().halt(Exit.STOPPED));
    }
    if (all.getFirst().equals("move")) {
      FakeRun.move(Path.of(all.get(1)), all.get(5));
      return;
    }
    for (String word : System.getProperty(name, "stay").split(";")) {
      String[] parts = word.split(":", 2);
      switch (parts[0]) {
        case "print" -> System.out.println(parts[1]);
        case "error" -> System.err.println(parts[1]);
        case "exit" -> Runtime.getRuntime().halt(Integer.parseInt(parts[1]));
        case "file" -> awaitFile(Path.of(parts[1]));
        case "stay" -> stay(() -> Runtime.getRuntime().halt(Exit.STOPPED));
        case "deaf" -> stay(FakeNode::waitLong);
        case "train" ->
            new FakeRun(
                    Path.of(value(all, "run.dir")),
                    name,
                    Integer.parseInt(value(all, "cluster.nodes")),
                    Boolean.getBoolean("never.recovers"))
                .train();
        default -> throw new IllegalArgumentException(word);
      }
    }
  }

  private static String value(List<String> arguments, String key) {
    return arguments.stream()
        .filter(argument -> argument.startsWith(key + "="))
        .map(argument -> argument.substring(key.length() + 1))
        .reduce((first, last) -> last)
        .orElse("");
  }

  private static void stay(Runnable onTerm) {
    Runtime.getRuntime().addShutdownHook(new Thread(onTerm));
    System.out.println("staying");
    waitLong();
  }

  private static void waitLong() {
    try {
      new CountDownLatch(1).await(LONGEST.toMillis(), java.util.concurrent.TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static void awaitFile(Path file) throws IOException, InterruptedException {
    long deadlineNs = System.nanoTime() + LONGEST.toNanos();
    while (!Files.exists(file) && System.nanoTime() < deadlineNs) {
      Thread.sleep(10);
    }
  }
}

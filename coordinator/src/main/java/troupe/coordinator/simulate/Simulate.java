package troupe.coordinator.simulate;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import troupe.coordinator.compute.ComputeThreads;
import troupe.coordinator.files.AtomicFile;
import troupe.core.UserException;
import troupe.core.config.RunConfig;

/** Answers what a config asks: on the terminal, as JSON and as a page. */
public final class Simulate {
  /** The answer in the folder of the run. */
  public static final String JSON_NAME = "simulate.json";

  /** The page in the folder of the run. */
  public static final String PAGE_NAME = "simulate.html";

  private Simulate() {}

  /** Told what happens. */
  public interface Listener {
    /** Something worth a line. */
    void notice(String line);

    /** How much is done, from 0 to 1; on any thread, often. */
    void progress(double share);
  }

  /**
   * Simulates and writes both files.
   *
   * @return what to show on a terminal
   * @throws UserException if something is wrong with the config, the trace or the heap
   */
  public static String run(RunConfig config, Listener listener) {
    Speeds speeds =
        config.simulate().cluster().measure()
            ? Calibration.measure(config, listener::notice)
            : Speeds.of(config);
    SimulationResult result =
        Simulation.run(
            config,
            speeds,
            ComputeThreads.count(config.cluster().threads()),
            (tokens, of) -> listener.progress((double) tokens / of));
    Path folder = Path.of(config.run().dir());
    try {
      Files.createDirectories(folder);
      AtomicFile.write(folder.resolve(JSON_NAME), SimulationJson.of(result));
      String name = folder.toAbsolutePath().normalize().getFileName().toString();
      AtomicFile.write(folder.resolve(PAGE_NAME), SimulationPage.of(result, name));
    } catch (IOException e) {
      throw new UserException(
          folder + " cannot be written to: " + e, "run.dir=ANOTHER writes elsewhere", e);
    }
    return SimulationTable.of(result);
  }
}

package troupe.coordinator.cli;

import java.io.PrintWriter;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import troupe.coordinator.doctor.Diagnosis;

/** {@code troupe doctor}. */
@Command(
    name = "doctor",
    description = {
      "Show what Troupe sees of this machine and what it would use.",
      "JDK, cores, SIMD width, BLAS, memory, /dev/shm, socket buffers; two quick measurements.",
      "GPUs: driver, NVIDIA's libraries, memory, bandwidths, links; every kernel is compared with",
      "the reference."
    })
final class DoctorCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Option(names = "--json", description = "Print one JSON object instead of text.")
  private boolean json;

  @Option(
      names = "--cuda-lib",
      paramLabel = "FOLDERS",
      defaultValue = "",
      description = {
        "Folders with NVIDIA's libraries, separated by colons, before all others;",
        "as the key cuda.lib of a run."
      })
  private String cudaFolders;

  @Override
  public void run() {
    Diagnosis diagnosis = Diagnosis.ofThisMachine(cudaFolders);
    PrintWriter out = spec.commandLine().getOut();
    out.println(json ? diagnosis.json() : diagnosis.text().stripTrailing());
    out.flush();
  }
}

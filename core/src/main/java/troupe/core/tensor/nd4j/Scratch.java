package troupe.core.tensor.nd4j;

import org.nd4j.linalg.api.memory.MemoryWorkspace;
import org.nd4j.linalg.api.memory.conf.WorkspaceConfiguration;
import org.nd4j.linalg.api.memory.enums.AllocationPolicy;
import org.nd4j.linalg.api.memory.enums.LearningPolicy;
import org.nd4j.linalg.api.memory.enums.SpillPolicy;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Memory for the temporaries of one kernel, one arena a thread: ND4J's allocation costs
 * milliseconds, its arena none.
 */
final class Scratch {
  private static final String ID = "troupe-kernels";
  private static final WorkspaceConfiguration GROWING =
      WorkspaceConfiguration.builder()
          .initialSize(0)
          .policyAllocation(AllocationPolicy.STRICT)
          .policyLearning(LearningPolicy.OVER_TIME)
          .policySpill(SpillPolicy.REALLOCATE)
          .build();

  private Scratch() {}

  /** Every array made until this is closed is gone when it is closed. */
  static MemoryWorkspace enter() {
    return Nd4j.getWorkspaceManager().getAndActivateWorkspace(GROWING, ID);
  }
}

package troupe.coordinator.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import troupe.core.UserException;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;

/** What each way of spreading makes of the user's config. */
final class NodesPlanTest {
  @TempDir private Path folder;
  private Path config;

  @BeforeEach
  void writeConfig() throws IOException {
    config =
        Files.writeString(
            folder.resolve("tiny.conf"),
            """
            cluster { nodes = 3, threads = 4 }
            train { steps = 7, batch = 8 }
            faults.expert_throws = ["2:0/0:forward"]
            """);
  }

  private NodesPlan plan(int nodes, String... overrides) {
    return NodesPlan.of(config, List.of(overrides), nodes, 1, 20, 40);
  }

  private RunConfig run(NodesPlan plan, Spread spread) {
    return ConfigLoader.load(config, plan.overrides(spread, folder.resolve("run")));
  }

  @Test
  void shouldDifferOnlyInWhatIsCompared() {
    NodesPlan plan = plan(2, "seed=5", "resume=true");
    RunConfig one = run(plan, Spread.ONE);
    RunConfig many = run(plan, Spread.MANY);
    RunConfig copies = run(plan, Spread.COPIES);
    for (RunConfig run : List.of(one, many, copies)) {
      assertEquals(5, run.seed());
      assertEquals(60, run.train().steps());
      assertEquals(20, run.train().logEvery());
      assertEquals(0, run.evaluate().every());
      assertEquals(0, run.checkpoint().every());
      assertEquals(List.of(), run.generate().prompts());
      assertEquals(List.of(), run.faults().expertThrows());
      assertEquals(folder.resolve("run").toString(), run.run().dir());
      assertEquals(false, run.run().resume());
    }
    assertEquals(4, one.cluster().threads());
    assertEquals(2, many.cluster().threads());
    assertEquals(2, many.cluster().nodes());
    assertEquals(0, many.replicate().every());
    assertEquals(many.cluster(), copies.cluster());
    assertEquals(10, copies.replicate().every());
  }

  @Test
  void shouldCopyEvenWhereTwoNodesWouldNot() {
    assertEquals(1, run(plan(2), Spread.COPIES).replicate().copies());
    assertEquals(1, run(plan(4), Spread.COPIES).replicate().copies());
    assertEquals(2, run(plan(4, "replicate.copies=2"), Spread.COPIES).replicate().copies());
  }

  @Test
  void shouldNameThreadsThatCanBeShared() {
    UserException e = assertThrows(UserException.class, () -> plan(3));
    assertEquals("cluster.threads=6", e.hint());
  }
}

package troupe.simulation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.coordinator.run.Runs;
import troupe.core.config.RunConfig;

/**
 * Plays schedules in which batches are delayed, doubled, overtaken and lost, in which owners throw,
 * and in which the transport refuses; each has to end with the bits of the run in which nothing
 * happened. {@code -Dsimulation.seed=N} plays one again and prints what happens in it.
 */
final class SimulationTest {
  private static final String SEED = "simulation.seed";
  private static final int SCHEDULES = 600;
  private static final int MANY_SCHEDULES = 100_000;
  private static final int MAX_NODES = 5;

  /** Four steps on three nodes need more than these. */
  private static final int MANY_MESSAGES = 60;

  private static SimulatedSystem system;
  private static Undisturbed undisturbed;
  private static Map<Integer, RunConfig> configs;

  static RunConfig config(int nodes) {
    return Runs.tiny(
        "device=reference",
        "model.d_model=8",
        "model.d_ff=8",
        "model.seq=4",
        "model.vocab=16",
        "experts.count=3",
        "train.batch=4",
        "train.micro_batches=2",
        "train.steps=4",
        "evaluate.every=3",
        "evaluate.batches=2",
        "replicate.every=2",
        "placement.rebalance=load",
        "placement.max_imbalance=1.05",
        "placement.patience_steps=1",
        "cluster.reply_timeout_seconds=4",
        "cluster.nodes=" + nodes);
  }

  static Map<Integer, RunConfig> configs() {
    return IntStream.rangeClosed(1, MAX_NODES)
        .boxed()
        .collect(Collectors.toMap(nodes -> nodes, SimulationTest::config));
  }

  @BeforeAll
  static void start() throws Exception {
    system = new SimulatedSystem();
    configs = configs();
    undisturbed = Undisturbed.of(config(1));
  }

  @AfterAll
  static void stop() {
    system.close();
  }

  private static Schedule.Played play(long seed) {
    return Schedule.ofSeed(system, configs, undisturbed, seed).play();
  }

  @Test
  void shouldEndWithTheSameBitsWhateverTheSchedule() {
    if (Long.getLong(SEED) == null) {
      for (long seed = 0; seed < SCHEDULES; seed++) {
        play(seed);
      }
    } else {
      system.loop().trace().copyTo(System.out::println);
      try {
        System.out.println(play(Long.getLong(SEED)));
      } finally {
        system.loop().trace().copyTo(null);
      }
    }
  }

  /** Each message between nodes of an otherwise undisturbed run, one after the other. */
  @Test
  void shouldSurviveTheLossOfAnyOneMessage() {
    Conditions none = Conditions.calm(1);
    played("no message lost", none, Trouble.Maker.NONE);
    assertTrue(none.messages() > MANY_MESSAGES, none.messages() + " messages");
    for (long message = 0; message < none.messages(); message++) {
      Conditions conditions = Conditions.calm(1);
      conditions.loseMessage(message);
      played("message " + message + " lost", conditions, Trouble.Maker.NONE);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2})
  void shouldSurviveTheDeathOfANodeAtAnyTime(int node) {
    killAtEvery(node, 31);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2})
  @Tag("slow")
  void shouldSurviveTheDeathOfANodeAtAnyEvent(int node) {
    killAtEvery(node, 1);
  }

  private static void killAtEvery(int node, int stride) {
    long events = played("nobody killed", Conditions.calm(1), Trouble.Maker.NONE).events();
    for (long event = 1; event < events; event += stride) {
      long at = event;
      played(
          "node " + node + " killed at event " + event,
          Conditions.calm(1),
          (config, cluster, run, loop) -> new Death(cluster, run, node, at));
    }
  }

  private static Schedule.Played played(String name, Conditions conditions, Trouble.Maker trouble) {
    RunConfig config = configs.get(3);
    return new Schedule(system, config, undisturbed, name, conditions, Throws.none(config), trouble)
        .play();
  }

  @Test
  @Tag("slow")
  void shouldEndWithTheSameBitsWhateverTheSchedules() {
    for (long seed = SCHEDULES; seed < MANY_SCHEDULES; seed++) {
      play(seed);
    }
  }

  @Test
  void shouldRepeatAScheduleEventForEvent() {
    Assumptions.assumeTrue(Long.getLong(SEED) == null);
    Set<Long> traces = new HashSet<>();
    for (long seed = 0; seed < 50; seed++) {
      Schedule.Played played = play(seed);
      assertEquals(played, play(seed), "seed=" + seed);
      traces.add(played.trace());
    }
    assertEquals(50, traces.size(), "seeds that play the same schedule");
  }
}

package troupe.simulation;

import akka.actor.typed.ActorRef;
import akka.actor.typed.ActorSystem;
import akka.actor.typed.Behavior;
import akka.actor.typed.javadsl.ActorContext;
import akka.actor.typed.javadsl.Adapter;
import akka.actor.typed.javadsl.Behaviors;
import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import java.util.function.Consumer;

/**
 * An actor system that does nothing by itself: its actors take their turns when the {@link
 * EventLoop} says so, on the thread that drives it. Starting one takes longer than a schedule, so
 * one serves thousands of them.
 */
final class SimulatedSystem implements AutoCloseable {
  /** Something to do as an actor, such as to give birth to others. */
  interface Task extends Consumer<ActorContext<Task>> {}

  private final ActorSystem<Task> system;
  private final EventLoop loop;
  private int schedules;

  SimulatedSystem() {
    system = ActorSystem.create(guardian(), "simulation", config());
    loop = ((SimulatedScheduler) Adapter.toClassic(system).scheduler()).loop();
    loop.wire(new Wire(system)::carry);
    loop.started();
  }

  /** An actor that does what it is told and outlives whatever its children do. */
  static Behavior<Task> guardian() {
    return Behaviors.setup(
        context ->
            Behaviors.receiveMessage(
                task -> {
                  task.accept(context);
                  return Behaviors.same();
                }));
  }

  private static Config config() {
    String dispatcher =
        "{ type = Dispatcher, throughput = 1, executor = \"%s\" }"
            .formatted(SimulatedExecutor.class.getName());
    return ConfigFactory.parseString(
            """
            akka {
              loglevel = OFF
              stdout-loglevel = OFF
              log-dead-letters = off
              scheduler.implementation = "%s"
              actor {
                default-dispatcher = %s
                internal-dispatcher = %s
                typed.default-mailbox.mailbox-type = "%s"
              }
            }
            troupe {
              host-dispatcher = %s
              coordinator-dispatcher = %s
              compute-dispatcher = %s
            }
            """
                .formatted(
                    SimulatedScheduler.class.getName(),
                    dispatcher,
                    dispatcher,
                    SimulatedMailbox.class.getName(),
                    dispatcher,
                    dispatcher,
                    dispatcher))
        .withFallback(ConfigFactory.load());
  }

  EventLoop loop() {
    return loop;
  }

  /** A name that no schedule has had. */
  String nextSchedule() {
    return "schedule-" + schedules++;
  }

  /** Takes answers that nobody waits for. */
  <T> ActorRef<T> nobody() {
    return system.ignoreRef();
  }

  /** Has the system's guardian do something, at once. */
  void tell(Task task) {
    system.tell(task);
  }

  /** Lets everything happen that is to happen, timers left out unless they come first. */
  void run() {
    while (loop.pending() > 0) {
      loop.step();
    }
  }

  @Override
  public void close() {
    system.terminate();
    while (!system.getWhenTerminated().toCompletableFuture().isDone() && loop.step()) {}
  }
}

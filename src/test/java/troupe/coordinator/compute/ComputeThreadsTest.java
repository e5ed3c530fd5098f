package troupe.coordinator.compute;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.typed.ActorSystem;
import akka.actor.typed.DispatcherSelector;
import akka.actor.typed.javadsl.Behaviors;
import com.typesafe.config.ConfigFactory;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import troupe.Eventually;

class ComputeThreadsTest {
  private static final int THREADS = 3;

  private static final DispatcherSelector COMPUTE =
      DispatcherSelector.fromConfig("troupe.compute-dispatcher");

  private final ActorSystem<Void> system =
      ActorSystem.create(
          Behaviors.setup(
              context -> {
                // Akka ends threads on which no actor lives, after a second.
                context.spawn(Behaviors.empty(), "inhabitant", COMPUTE);
                return Behaviors.empty();
              }),
          "compute",
          ComputeThreads.configure(THREADS, ConfigFactory.load()));
  private final Executor compute = system.dispatchers().lookup(COMPUTE);

  @AfterEach
  void stop() throws Exception {
    system.terminate();
    system
        .getWhenTerminated()
        .toCompletableFuture()
        .get(Eventually.TIMEOUT.toSeconds(), TimeUnit.SECONDS);
    Eventually.await("compute threads end", () -> threads().isEmpty());
  }

  private static Set<String> threads() {
    Set<String> names = ConcurrentHashMap.newKeySet();
    Thread.getAllStackTraces().keySet().stream()
        .map(Thread::getName)
        .filter(name -> name.startsWith("compute-troupe.compute-dispatcher"))
        .forEach(names::add);
    return names;
  }

  @Test
  void shouldComputeOnAsManyThreadsAsConfigured() throws Exception {
    CountDownLatch all = new CountDownLatch(THREADS);
    for (int i = 0; i < THREADS; i++) {
      compute.execute(
          () -> {
            all.countDown();
            awaitUninterrupted(all);
          });
    }
    assertTrue(all.await(Eventually.TIMEOUT.toSeconds(), TimeUnit.SECONDS), "all at once");
    assertEquals(THREADS, threads().size());
  }

  @Test
  void shouldNotSleepWhereAGpuWaits() throws Exception {
    ActorSystem<Void> eager =
        ActorSystem.create(
            Behaviors.empty(),
            "eager",
            ConfigFactory.parseString("troupe.compute-dispatcher.eager = 1 h")
                .withFallback(ComputeThreads.configure(1, ConfigFactory.load())));
    Executor threads = eager.dispatchers().lookup(COMPUTE);
    AtomicReference<Thread> thread = new AtomicReference<>();
    CountDownLatch first = new CountDownLatch(1);
    threads.execute(
        () -> {
          thread.set(Thread.currentThread());
          first.countDown();
        });
    assertTrue(first.await(Eventually.TIMEOUT.toSeconds(), TimeUnit.SECONDS));
    for (int i = 0; i < 20; i++) {
      TimeUnit.MILLISECONDS.sleep(1);
      assertEquals(Thread.State.RUNNABLE, thread.get().getState());
    }
    CountDownLatch second = new CountDownLatch(1);
    threads.execute(second::countDown);
    assertTrue(second.await(Eventually.TIMEOUT.toSeconds(), TimeUnit.SECONDS));
    eager.terminate();
    eager
        .getWhenTerminated()
        .toCompletableFuture()
        .get(Eventually.TIMEOUT.toSeconds(), TimeUnit.SECONDS);
    Eventually.await("it ends", () -> !thread.get().isAlive());
  }

  private static void awaitUninterrupted(CountDownLatch latch) {
    try {
      latch.await(Eventually.TIMEOUT.toSeconds(), TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Test
  void shouldDoSideWorkAfterEachMessageAndWhileThereIsNone() {
    AtomicInteger pieces = new AtomicInteger();
    AtomicReference<Thread> worker = new AtomicReference<>();
    ComputeThreads.besideComputing(
        system,
        () -> {
          worker.set(Thread.currentThread());
          return pieces.incrementAndGet() % 3 == 0;
        });
    compute.execute(() -> {});
    Eventually.await("side work goes on without messages", () -> pieces.get() > 200);
    assertTrue(worker.get().getName().startsWith("compute-troupe.compute-dispatcher"));
  }

  @Test
  void shouldTakeMessagesWhileThereIsSideWork() throws Exception {
    ComputeThreads.besideComputing(system, () -> true);
    CountDownLatch done = new CountDownLatch(10_000);
    for (int i = 0; i < 10_000; i++) {
      compute.execute(done::countDown);
    }
    assertTrue(done.await(Eventually.TIMEOUT.toSeconds(), TimeUnit.SECONDS));
  }

  @Test
  void shouldDoSideWorkOnOneIdleThreadAtATime() throws Exception {
    AtomicInteger atOnce = new AtomicInteger();
    AtomicInteger most = new AtomicInteger();
    AtomicInteger pieces = new AtomicInteger();
    ComputeThreads.besideComputing(
        system,
        () -> {
          int now = atOnce.incrementAndGet();
          // Until then threads may be at it that have just computed, and were put aside.
          if (pieces.incrementAndGet() > 400) {
            most.accumulateAndGet(now, Math::max);
          }
          Thread.yield();
          atOnce.decrementAndGet();
          return false;
        });
    CountDownLatch all = new CountDownLatch(THREADS);
    for (int i = 0; i < THREADS; i++) {
      compute.execute(
          () -> {
            all.countDown();
            awaitUninterrupted(all);
          });
    }
    Eventually.await("side work", () -> pieces.get() > 600);
    assertEquals(1, most.get());
  }
}

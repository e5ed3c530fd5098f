package troupe.transport;

import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.agrona.CloseHelper;
import org.agrona.ErrorHandler;
import org.agrona.concurrent.AgentRunner;
import org.agrona.concurrent.IdleStrategy;

/**
 * The strands of a transport: each has a thread, a stream to each node and its share of the streams
 * that come, and works beside the others. A batch is sent by the strand that is free first, and
 * goes by its stream as a whole; batches of different strands overtake each other.
 */
final class Strands implements AutoCloseable {
  private final List<Strand> strands;
  private final StrandLocks locks;
  private final ErrorHandler errors;
  private final AtomicInteger nextAwake = new AtomicInteger();
  private final AtomicInteger nextHelped = new AtomicInteger();

  private record Strand(TransportAgent agent, AgentRunner runner, Thread thread) {}

  /**
   * Starts the threads.
   *
   * @param agentOf the work of a strand, by its number
   * @param idleOf how the thread of an agent idles
   * @param name of the first thread; the others have a number as well
   */
  Strands(
      StrandLocks locks,
      IntFunction<TransportAgent> agentOf,
      Function<TransportAgent, IdleStrategy> idleOf,
      ErrorHandler errors,
      String name) {
    this.locks = locks;
    this.errors = errors;
    strands =
        IntStream.range(0, locks.count())
            .mapToObj(
                strand -> {
                  TransportAgent agent = agentOf.apply(strand);
                  AgentRunner runner = new AgentRunner(idleOf.apply(agent), errors, null, agent);
                  String called = strand == 0 ? name : name + "-" + strand;
                  Thread thread = AgentRunner.startOnThread(runner, DaemonThreads.named(called));
                  return new Strand(agent, runner, thread);
                })
            .toList();
  }

  /** From any thread: batches are sent to this node as well. */
  void add(Peer peer) {
    strands.forEach(strand -> strand.agent().add(peer));
  }

  /** There is something to send: one of the threads looks now, each in turn. */
  void wake() {
    LockSupport.unpark(strands.get(turn(nextAwake)).thread());
  }

  /** All threads look now. */
  void wakeAll() {
    strands.forEach(strand -> LockSupport.unpark(strand.thread()));
  }

  /**
   * Sends and receives on the calling thread for the first strand that has something to do.
   *
   * @return whether there was one
   */
  boolean help() {
    if (locks.isHeldByCurrentThread()) {
      return false;
    }
    int first = turn(nextHelped);
    for (int i = 0; i < strands.size(); i++) {
      if (strands.get((first + i) % strands.size()).agent().help()) {
        return true;
      }
    }
    return false;
  }

  /** Ends the threads; the first strand, which gives back what nobody has begun, is the last. */
  @Override
  public void close() {
    strands.reversed().forEach(strand -> CloseHelper.close(errors, strand.runner()));
  }

  private int turn(AtomicInteger next) {
    int size = strands.size();
    return size == 1 ? 0 : Math.floorMod(next.getAndIncrement(), size);
  }
}

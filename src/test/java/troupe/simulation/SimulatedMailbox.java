package troupe.simulation;

import akka.actor.ActorRef;
import akka.actor.ActorSystem;
import akka.dispatch.Envelope;
import akka.dispatch.MailboxType;
import akka.dispatch.MessageQueue;
import com.typesafe.config.Config;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import scala.Option;

/**
 * Mailboxes that know who is writing: a message of an actor on another node takes the simulated
 * wire, one of the same node is there at once. As in Akka, messages between two actors keep their
 * order, and nothing else does.
 */
public final class SimulatedMailbox implements MailboxType {
  /** The constructor that Akka looks for. */
  public SimulatedMailbox(ActorSystem.Settings settings, Config config) {}

  @Override
  public MessageQueue create(Option<ActorRef> owner, Option<ActorSystem> system) {
    if (owner.isEmpty() || system.isEmpty()) {
      throw new IllegalArgumentException("mailbox: of nobody (expected: of an actor)");
    }
    return new Queue(owner.get(), ((SimulatedScheduler) system.get().scheduler()).loop());
  }

  private static final class Queue implements MessageQueue {
    private final EventLoop loop;
    private final int node;
    private final String name;
    private final ArrayDeque<Envelope> messages = new ArrayDeque<>();

    /** When the last message of each sender arrives: the next one comes later. */
    private final Map<ActorRef, Long> lastArrivalNs = new HashMap<>();

    Queue(ActorRef owner, EventLoop loop) {
      this.loop = loop;
      this.node = NodePath.nodeOf(owner.path());
      this.name = owner.path().name();
    }

    @Override
    public void enqueue(ActorRef receiver, Envelope envelope) {
      int from = loop.currentNode();
      if (from == EventLoop.NOBODY || node == EventLoop.NOBODY || from == node) {
        messages.add(envelope);
      } else {
        overWire(from, receiver, envelope);
      }
    }

    private void overWire(int from, ActorRef receiver, Envelope envelope) {
      Conditions conditions = loop.conditions();
      if (conditions.losesMessage(from, node)) {
        loop.trace().add(loop.nowNs(), from, name, "lost", envelope.message());
        return;
      }
      long key =
          KeyedDraws.key(
              EventLoop.keyOf(from, loop.currentActor()), EventLoop.keyOf(node, receiver));
      long arrivalNs =
          Math.max(
              loop.nowNs() + conditions.wireNs(key),
              lastArrivalNs.getOrDefault(loop.currentActor(), -1L) + 1);
      lastArrivalNs.put(loop.currentActor(), arrivalNs);
      Object carried = loop.carried(envelope.message());
      loop.post(
          arrivalNs,
          node,
          () -> {
            if (!conditions.isCut(from, node)) {
              receiver.tell(carried, envelope.sender());
            }
          });
    }

    @Override
    public Envelope dequeue() {
      Envelope envelope = messages.poll();
      if (envelope != null && node != EventLoop.NOBODY) {
        Class<?> type = envelope.message().getClass();
        // The names of lambdas differ from process to process.
        String what = type.isHidden() ? "task" : type.getSimpleName();
        loop.trace().add(loop.nowNs(), node, name, what, envelope.message());
        loop.observer().onMessage(node, name, envelope.message());
      }
      return envelope;
    }

    @Override
    public int numberOfMessages() {
      return messages.size();
    }

    @Override
    public boolean hasMessages() {
      return !messages.isEmpty();
    }

    @Override
    public void cleanUp(ActorRef owner, MessageQueue deadLetters) {
      while (hasMessages()) {
        deadLetters.enqueue(owner, dequeue());
      }
    }
  }
}

package troupe.simulation;

import akka.actor.ActorRef;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.function.UnaryOperator;

/**
 * The only thread and the only clock of a simulation: what is to happen, ordered by the simulated
 * time at which it happens. Whoever posts an event says when; the delays are drawn from the seed,
 * and with them the order.
 */
final class EventLoop {
  /** The node of what belongs to no node: the test itself and Akka's own actors. */
  static final int NOBODY = -1;

  /** Sees every message that an actor of a node is about to get. */
  @FunctionalInterface
  interface Observer {
    /** {@code actor} is its name. */
    void onMessage(int node, String actor, Object message);
  }

  /** Something that is going to happen. */
  final class Event {
    private final long dueNs;
    private final long order;
    private final int node;
    private final boolean timer;
    private final Runnable action;
    private boolean cancelled;
    private boolean done;

    private Event(long dueNs, int node, boolean timer, Runnable action) {
      this.dueNs = dueNs;
      this.order = posted++;
      this.node = node;
      this.timer = timer;
      this.action = action;
    }

    /** Says that it is not to happen; returns whether that came in time. */
    boolean cancel() {
      boolean inTime = !cancelled && !done;
      cancelled = true;
      if (inTime && !timer) {
        pending--;
      }
      return inTime;
    }

    boolean isCancelled() {
      return cancelled;
    }
  }

  private final PriorityQueue<Event> events =
      new PriorityQueue<>(
          (a, b) ->
              a.dueNs == b.dueNs ? Long.compare(a.order, b.order) : Long.compare(a.dueNs, b.dueNs));
  private final Map<Integer, List<Event>> held = new HashMap<>();
  private final Trace trace = new Trace();
  private Conditions conditions = Conditions.ideal();
  private UnaryOperator<Object> wire = UnaryOperator.identity();
  private Observer observer = (node, actor, message) -> {};
  private long posted;
  private long nowNs;
  private int pending;
  private int currentNode = NOBODY;
  private ActorRef currentActor;
  private boolean starting = true;
  private boolean stepping;

  /**
   * Akka waits for some of its actors while it starts, so until now they took their turns at once.
   */
  void started() {
    starting = false;
  }

  /**
   * A new schedule begins. Nothing of the last one may be left but timers: their actors are gone.
   */
  void begin(Conditions next) {
    events.removeIf(event -> event.timer || event.cancelled);
    if (!events.isEmpty() || !held.isEmpty()) {
      throw new IllegalStateException(
          "events left: " + events.size() + ", held: " + held.keySet() + " (expected: none)");
    }
    conditions = next;
    posted = 0;
    nowNs = 0;
  }

  /** Nobody is disturbed any more. */
  void calm() {
    observer = (node, actor, message) -> {};
    conditions = Conditions.ideal();
    List.copyOf(held.keySet()).forEach(this::resume);
  }

  /** Tells {@code newObserver}, and nobody else, of messages. */
  void observer(Observer newObserver) {
    observer = newObserver;
  }

  /** What becomes of messages on their way from node to node. */
  void wire(UnaryOperator<Object> newWire) {
    wire = newWire;
  }

  /** What arrives when {@code message} is sent to another node. */
  Object carried(Object message) {
    return wire.apply(message);
  }

  Observer observer() {
    return observer;
  }

  Conditions conditions() {
    return conditions;
  }

  Trace trace() {
    return trace;
  }

  long nowNs() {
    return nowNs;
  }

  /** Events that are to happen, timers left out. */
  int pending() {
    return pending;
  }

  /** The node on which something happens now. */
  int currentNode() {
    return currentNode;
  }

  /** The actor whose turn it is, or {@code null}. */
  ActorRef currentActor() {
    return currentActor;
  }

  /** An actor of a node has something to do. */
  void postTurn(int node, ActorRef actor, Runnable turn) {
    long delayNs = node == NOBODY ? 0 : conditions.computeNs(keyOf(node, actor));
    post(
        nowNs + delayNs,
        node,
        () -> {
          currentActor = actor;
          turn.run();
        });
    while (starting && !stepping && pending > 0) {
      step();
    }
  }

  /** Of an actor, the same in every process. */
  static long keyOf(int node, ActorRef actor) {
    return KeyedDraws.key(node, actor == null ? 0 : actor.path().name().hashCode());
  }

  /** Something is going to happen at a node. */
  Event post(long dueNs, int node, Runnable action) {
    pending++;
    return add(new Event(dueNs, node, false, action));
  }

  /** Something is going to happen where something happens now, if nobody cancels it. */
  Event postTimer(long delayNs, Runnable action) {
    Event event = new Event(nowNs + delayNs, currentNode, true, action);
    // What Akka itself wants to look after every now and then belongs to no schedule.
    return starting ? event : add(event);
  }

  private Event add(Event event) {
    events.add(event);
    return event;
  }

  /** Nothing happens at a node until {@link #resume}: its process is stopped, or gone. */
  void pause(int node) {
    held.computeIfAbsent(node, n -> new ArrayList<>());
  }

  /** What was due at a paused node happens now. */
  void resume(int node) {
    List<Event> late = held.remove(node);
    if (late != null) {
      events.addAll(late);
    }
  }

  boolean isPaused(int node) {
    return held.containsKey(node);
  }

  /** The simulated time of the next event, or {@link Long#MAX_VALUE} if there is none. */
  long nextNs() {
    while (!events.isEmpty() && events.peek().cancelled) {
      events.poll();
    }
    return events.isEmpty() ? Long.MAX_VALUE : Math.max(nowNs, events.peek().dueNs);
  }

  /** Lets one event happen; returns {@code false} if there is none. */
  boolean step() {
    Event event;
    do {
      event = events.poll();
      if (event == null) {
        return false;
      }
    } while (event.cancelled);
    List<Event> waiting = held.get(event.node);
    if (waiting != null) {
      waiting.add(event);
      return true;
    }
    // What a paused node did not do in time, it does late.
    nowNs = Math.max(nowNs, event.dueNs);
    event.done = true;
    if (!event.timer) {
      pending--;
    }
    conditions.onEvent(nowNs);
    currentNode = event.node;
    stepping = true;
    try {
      event.action.run();
    } finally {
      stepping = false;
      currentNode = NOBODY;
      currentActor = null;
    }
    return true;
  }
}

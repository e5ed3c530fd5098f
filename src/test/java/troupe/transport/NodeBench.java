package troupe.transport;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import troupe.Eventually;
import troupe.transport.Transport.Offer;
import troupe.transport.TransportSettings.Mode;

/**
 * Measures what one JVM sends to another on the same machine, or each to the other, some batches on
 * their way, and how long cores are at work for it. Not a test; run its main with the flags of
 * every Troupe JVM. Arguments: lists to be combined, each {@code key=a,b,c}, of {@link #DEFAULTS}.
 * Expect half of what one core copies a thread through shared memory, and about one GB/s by UDP.
 */
final class NodeBench {
  private static final Map<String, String> DEFAULTS =
      Map.of(
          "mode", "AUTO,UDP",
          "bytes", "65536,1048576,8388608",
          "threads", "1",
          "cores", "false",
          "both", "false",
          "term", "16777216",
          "mtu", "65504",
          "in_flight", "8");

  private static final int ROUNDS = 5;
  private static final int SENDER = 1;
  private static final int RECEIVER = 2;
  private static final long WARM_UP_BYTES = 1L << 30;
  private static final long MEASURED_BYTES = 2L << 30;

  /** What one line of the result was measured with. */
  private record Trial(
      Mode mode,
      int bytes,
      int threads,
      boolean cores,
      boolean both,
      int term,
      int mtu,
      int inFlight) {
    static Trial of(Map<String, String> values) {
      return new Trial(
          Mode.valueOf(values.get("mode")),
          Integer.parseInt(values.get("bytes")),
          Integer.parseInt(values.get("threads")),
          Boolean.parseBoolean(values.get("cores")),
          Boolean.parseBoolean(values.get("both")),
          Integer.parseInt(values.get("term")),
          Integer.parseInt(values.get("mtu")),
          Integer.parseInt(values.get("in_flight")));
    }

    List<String> arguments() {
      return List.of(
          "mode=" + mode,
          "bytes=" + bytes,
          "threads=" + threads,
          "cores=" + cores,
          "both=" + both,
          "term=" + term,
          "mtu=" + mtu,
          "in_flight=" + inFlight);
    }

    TransportSettings settings(int node) {
      return TransportSettings.of(Batches.RUN_ID, node, mode)
          .with(null, mtu, term)
          .withThreads(threads, cores);
    }
  }

  /** Memory that is used again, as a trainer does. */
  private record Pooled(MemorySegment bytes, BlockingQueue<Payload> pool) implements Payload {
    static BlockingQueue<Payload> pool(int count, int size, Arena arena) {
      BlockingQueue<Payload> pool = new ArrayBlockingQueue<>(count);
      for (int i = 0; i < count; i++) {
        pool.add(new Pooled(arena.allocate(size, 64).fill((byte) i), pool));
      }
      return pool;
    }

    @Override
    public void release() {
      pool.add(this);
    }
  }

  /** How long the threads of the transport and those of the driver were at work. */
  private record Busy(long threadsUs, long driverUs) {
    String since(Busy before, double bytes) {
      return String.format(
          Locale.ROOT,
          "%.2f+%.2f",
          (threadsUs - before.threadsUs) * 1e3 / bytes,
          (driverUs - before.driverUs) * 1e3 / bytes);
    }
  }

  /**
   * One of the two JVMs. A batch without rows is an answer: its step says how busy the other was.
   */
  private static final class End implements BatchReceiver, AutoCloseable {
    private final Trial trial;
    private final int other;
    private final Arena arena = Arena.ofShared();
    private final BlockingQueue<Payload> sources;
    private final BlockingQueue<Payload> sinks;
    private final AtomicLong numArrived = new AtomicLong();
    private final BlockingQueue<Long> begun = new LinkedBlockingQueue<>();
    private final BlockingQueue<Busy> answers = new LinkedBlockingQueue<>();
    private final NodeTransport transport;

    End(Trial trial, int node) {
      this.trial = trial;
      this.other = SENDER + RECEIVER - node;
      sources = Pooled.pool(trial.inFlight(), trial.bytes(), arena);
      sinks = Pooled.pool(trial.inFlight() + trial.threads(), trial.bytes(), arena);
      transport = NodeTransport.open(trial.settings(node), this, TransportEvents.NONE);
    }

    @Override
    public Payload allocate(BatchHeader header) {
      return header.rows() == 0 ? new CountedPayload(0) : sinks.poll();
    }

    /** The step of a batch says how many will come: they overtake each other. */
    @Override
    public void onBatch(BatchHeader header, Payload payload) {
      payload.release();
      if (header.rows() == 0) {
        answers.add(new Busy(header.step() >> 32, header.step() & 0xffff_ffffL));
        return;
      }
      long arrived = numArrived.incrementAndGet();
      if (arrived == 1) {
        begun.add(header.step());
      }
      if (arrived == header.step()) {
        numArrived.set(0);
        begun.add(0L);
      }
    }

    void stream(long batches) throws InterruptedException {
      BatchHeader header = Batches.header(batches, trial.bytes() / 4096, 1024);
      for (long sent = 0; sent < batches; sent++) {
        offer(header, sources.take());
      }
    }

    void answer() {
      Busy busy = busy();
      offer(Batches.header(busy.threadsUs() << 32 | busy.driverUs(), 0, 1), new CountedPayload(0));
    }

    Busy busy() {
      TransportCounters counters = transport.counters();
      return new Busy(counters.busyNs() / 1000, counters.driverBusyNs() / 1000);
    }

    private void offer(BatchHeader header, Payload payload) {
      while (transport.offer(other, header, payload) != Offer.ACCEPTED) {
        LockSupport.parkNanos(1_000);
      }
    }

    /** Without closing the arena: memory may still be on its way. */
    @Override
    public void close() {
      transport.close();
    }
  }

  private NodeBench() {}

  /** Prints a line for each trial; an argument that is none of the keys makes it the other JVM. */
  public static void main(String[] args) throws Exception {
    Map<String, String> values = new HashMap<>(DEFAULTS);
    List<String> rest = new ArrayList<>();
    for (String arg : args) {
      String[] parts = arg.split("=", 2);
      if (parts.length == 2 && DEFAULTS.containsKey(parts[0])) {
        values.put(parts[0], parts[1]);
      } else {
        rest.add(arg);
      }
    }
    if (!rest.isEmpty()) {
      receive(Trial.of(values), new Endpoint(SENDER, rest.get(0), rest.get(1), rest.get(2)));
      return;
    }
    System.out.printf("cores=%d %s%n", Runtime.getRuntime().availableProcessors(), copies());
    List<Map<String, String>> trials = List.of(Map.of());
    for (String key :
        List.of("mode", "both", "mtu", "term", "in_flight", "bytes", "cores", "threads")) {
      trials =
          trials.stream()
              .flatMap(
                  trial ->
                      Arrays.stream(values.get(key).split(",")).map(it -> with(trial, key, it)))
              .toList();
    }
    for (Map<String, String> trial : trials) {
      send(Trial.of(trial));
    }
  }

  private static Map<String, String> with(Map<String, String> values, String key, String value) {
    Map<String, String> all = new HashMap<>(values);
    all.put(key, value);
    return all;
  }

  /** What one core copies, and several at once: the floor is two such copies, one on each side. */
  private static String copies() throws InterruptedException {
    StringBuilder text = new StringBuilder("copy_GB/s:");
    for (int threads = 1; threads <= Runtime.getRuntime().availableProcessors(); threads *= 2) {
      long startNs = System.nanoTime();
      List<Thread> copying =
          Stream.generate(() -> Thread.ofPlatform().start(NodeBench::copy)).limit(threads).toList();
      for (Thread thread : copying) {
        thread.join();
      }
      double seconds = (System.nanoTime() - startNs) / 1e9;
      text.append(String.format(Locale.ROOT, " %d:%.1f", threads, threads * 4.3 / seconds));
    }
    return text.toString();
  }

  /** 4.3 GB in 64 KiB pieces. */
  private static void copy() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment from = arena.allocate(64 << 20, 64);
      MemorySegment to = arena.allocate(64 << 20, 64);
      for (long done = 0; done < 4L << 30; done += 64 << 10) {
        long at = done & ((64 << 20) - 1);
        MemorySegment.copy(from, at, to, at, 64 << 10);
      }
    }
  }

  private static void send(Trial trial) throws Exception {
    try (End end = new End(trial, SENDER)) {
      Endpoint local = end.transport.local();
      List<String> command =
          new ArrayList<>(
              List.of(
                  Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                  "--add-opens=java.base/jdk.internal.misc=ALL-UNNAMED",
                  "--enable-native-access=ALL-UNNAMED",
                  "--sun-misc-unsafe-memory-access=allow",
                  "-cp",
                  System.getProperty("java.class.path"),
                  NodeBench.class.getName()));
      command.addAll(trial.arguments());
      command.addAll(List.of(local.channel(), local.machine(), local.directory()));
      Process other =
          new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
      try {
        String[] parts = other.inputReader().readLine().split("\t");
        end.transport.connect(List.of(new Endpoint(RECEIVER, parts[0], parts[1], parts[2])));
        end.transport.awaitConnected(RECEIVER, Eventually.TIMEOUT);
        round(end, WARM_UP_BYTES);
        measure(trial, end);
      } finally {
        other.destroy();
        other.waitFor();
      }
    }
  }

  private static void measure(Trial trial, End end) throws InterruptedException {
    double[] rates = new double[ROUNDS];
    Busy otherBefore = round(end, MEASURED_BYTES / 8);
    Busy before = end.busy();
    Busy other = otherBefore;
    for (int i = 0; i < ROUNDS; i++) {
      long roundNs = System.nanoTime();
      other = round(end, MEASURED_BYTES);
      rates[i] = MEASURED_BYTES / (double) (System.nanoTime() - roundNs);
    }
    Arrays.sort(rates);
    System.out.printf(
        Locale.ROOT,
        "%s GB/s%s=%.2f (%.2f to %.2f) threads+driver_s/GB=%s other=%s%n",
        String.join(" ", trial.arguments()),
        trial.both() ? "_each_way" : "",
        rates[ROUNDS / 2],
        rates[0],
        rates[ROUNDS - 1],
        end.busy().since(before, ROUNDS * (double) MEASURED_BYTES),
        other.since(otherBefore, ROUNDS * (double) MEASURED_BYTES));
  }

  /** Returns how long the other has been busy since it started, after all has arrived. */
  private static Busy round(End end, long bytes) throws InterruptedException {
    end.stream(bytes / end.trial.bytes());
    if (end.trial.both()) {
      end.begun.take();
      end.begun.take();
    }
    return end.answers.take();
  }

  private static void receive(Trial trial, Endpoint sender) throws Exception {
    try (End end = new End(trial, RECEIVER)) {
      Endpoint local = end.transport.local();
      System.out.println(local.channel() + "\t" + local.machine() + "\t" + local.directory());
      end.transport.connect(List.of(sender));
      end.transport.awaitConnected(SENDER, Eventually.TIMEOUT);
      while (true) {
        long batches = end.begun.take();
        if (trial.both()) {
          end.stream(batches);
        }
        end.begun.take();
        end.answer();
      }
    }
  }
}

package troupe.transport;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import troupe.Eventually;
import troupe.transport.Transport.Offer;
import troupe.transport.TransportSettings.Mode;

/**
 * Measures what one JVM sends to another on the same machine, a few batches on their way, with the
 * share of the time that the sending thread works. Not a test; run its main with the flags of every
 * Troupe JVM. Expect some GB/s through shared memory and about one by UDP.
 */
final class NodeBench {
  private static final int[] SIZES = {64 << 10, 1 << 20, 8 << 20};
  private static final int IN_FLIGHT = 4;
  private static final int SENDER = 1;
  private static final int RECEIVER = 2;
  private static final long WARM_UP_BYTES = 512L << 20;
  private static final long MEASURED_BYTES = 4L << 30;

  /** Memory that is used again, as a trainer does. */
  private record Pooled(MemorySegment bytes, BlockingQueue<Payload> pool) implements Payload {
    @Override
    public void release() {
      pool.add(this);
    }
  }

  /** Gives back the memory of each batch at once; counts them by step. */
  private static final class Sink implements BatchReceiver {
    private final BlockingQueue<Payload> free = new ArrayBlockingQueue<>(2 * IN_FLIGHT);
    private final AtomicLong numArrived = new AtomicLong();

    @Override
    public Payload allocate(BatchHeader header) {
      return header.rows() == 0 ? new CountedPayload(0) : free.poll();
    }

    @Override
    public void onBatch(BatchHeader header, Payload payload) {
      payload.release();
      numArrived.incrementAndGet();
    }
  }

  private NodeBench() {}

  /** Prints a line for each way and size; any argument makes it the other JVM. */
  public static void main(String[] args) throws Exception {
    if (args.length > 0) {
      receive(args);
      return;
    }
    for (Mode mode : new Mode[] {Mode.AUTO, Mode.UDP}) {
      for (int size : SIZES) {
        send(mode, size);
      }
    }
  }

  private static TransportSettings settings(Mode mode, int node) {
    return TransportSettings.of(Batches.RUN_ID, node, mode);
  }

  private static void send(Mode mode, int size) throws Exception {
    Sink sink = new Sink();
    try (Arena arena = Arena.ofShared();
        NodeTransport transport =
            NodeTransport.open(settings(mode, SENDER), sink, TransportEvents.NONE)) {
      Endpoint local = transport.local();
      Process other =
          new ProcessBuilder(
                  Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                  "--add-opens=java.base/jdk.internal.misc=ALL-UNNAMED",
                  "--enable-native-access=ALL-UNNAMED",
                  "-cp",
                  System.getProperty("java.class.path"),
                  NodeBench.class.getName(),
                  mode.name(),
                  "" + size,
                  local.channel(),
                  local.machine(),
                  local.directory())
              .redirectError(ProcessBuilder.Redirect.INHERIT)
              .start();
      String[] parts = other.inputReader().readLine().split("\t");
      transport.connect(List.of(new Endpoint(RECEIVER, parts[0], parts[1], parts[2])));
      transport.awaitConnected(RECEIVER, Eventually.TIMEOUT);
      BlockingQueue<Payload> sources = new ArrayBlockingQueue<>(IN_FLIGHT);
      for (int i = 0; i < IN_FLIGHT; i++) {
        sources.add(new Pooled(arena.allocate(size, 64).fill((byte) i), sources));
      }
      stream(transport, sink, size, sources, WARM_UP_BYTES);
      long busyNs = transport.counters().busyNs();
      double seconds = stream(transport, sink, size, sources, MEASURED_BYTES);
      System.out.printf(
          "way=%s batch_bytes=%d GB/s=%.2f sender_busy=%.2f%n",
          transport.wayTo(RECEIVER),
          size,
          MEASURED_BYTES / seconds / 1e9,
          (transport.counters().busyNs() - busyNs) / 1e9 / seconds);
      other.destroy();
      other.waitFor();
    }
  }

  /** The last batch asks for an answer, which says that all have arrived. */
  private static double stream(
      Transport transport, Sink sink, int size, BlockingQueue<Payload> sources, long bytes)
      throws InterruptedException {
    long batches = bytes / size;
    long answers = sink.numArrived.get();
    long startNs = System.nanoTime();
    for (long sent = 0; sent < batches; sent++) {
      Payload payload = sources.take();
      BatchHeader header = Batches.header(sent == batches - 1 ? 1 : 0, size / 4096, 1024);
      while (transport.offer(RECEIVER, header, payload) != Offer.ACCEPTED) {
        LockSupport.parkNanos(1_000);
      }
    }
    Eventually.await("answer", () -> sink.numArrived.get() > answers);
    return (System.nanoTime() - startNs) / 1e9;
  }

  private static void receive(String[] args) throws Exception {
    int size = Integer.parseInt(args[1]);
    BlockingQueue<BatchHeader> asked = new ArrayBlockingQueue<>(4);
    Sink sink = new Sink();
    BatchReceiver receiver =
        new BatchReceiver() {
          @Override
          public Payload allocate(BatchHeader header) {
            return sink.allocate(header);
          }

          @Override
          public void onBatch(BatchHeader header, Payload payload) {
            sink.onBatch(header, payload);
            if (header.step() == 1) {
              asked.add(header);
            }
          }
        };
    try (NodeTransport transport =
        NodeTransport.open(
            settings(Mode.valueOf(args[0]), RECEIVER), receiver, TransportEvents.NONE)) {
      for (int i = 0; i < 2 * IN_FLIGHT; i++) {
        sink.free.add(new Pooled(Arena.global().allocate(size, 64).fill((byte) i), sink.free));
      }
      Endpoint local = transport.local();
      System.out.println(local.channel() + "\t" + local.machine() + "\t" + local.directory());
      transport.connect(List.of(new Endpoint(SENDER, args[2], args[3], args[4])));
      while (true) {
        asked.take();
        BatchHeader answer = Batches.header(2, 0, 1);
        Batches.send(transport, SENDER, answer, new CountedPayload(0));
      }
    }
  }
}

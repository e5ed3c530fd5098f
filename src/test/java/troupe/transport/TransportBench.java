package troupe.transport;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import troupe.Eventually;
import troupe.transport.Transport.Offer;

/**
 * Measures the three ways within one JVM: throughput with a few batches on their way, and the time
 * from an offer to {@code onBatch} of single ones. Not a test; run its main with the flags of every
 * Troupe JVM. Expect no copy and under a microsecond in process, some GB/s through shared memory,
 * about one GB/s by UDP.
 */
final class TransportBench {
  private static final int[] SIZES = {64 << 10, 1 << 20, 8 << 20};
  private static final int IN_FLIGHT = 4;
  private static final long WARM_UP_BYTES = 512L << 20;
  private static final long MEASURED_BYTES = 2L << 30;
  private static final int SINGLES = 2_000;

  private final AtomicLong arrivedNs = new AtomicLong();
  private final AtomicLong numArrived = new AtomicLong();
  private final BlockingQueue<Payload> free = new ArrayBlockingQueue<>(2 * IN_FLIGHT);
  private final BatchReceiver receiver =
      new BatchReceiver() {
        @Override
        public Payload allocate(BatchHeader header) {
          return free.poll();
        }

        @Override
        public void onBatch(BatchHeader header, Payload payload) {
          payload.release();
          arrivedNs.setPlain(System.nanoTime());
          numArrived.incrementAndGet();
        }
      };

  /** Memory that is used again, as a trainer does. */
  private record Pooled(MemorySegment bytes, BlockingQueue<Payload> pool) implements Payload {
    @Override
    public void release() {
      pool.add(this);
    }
  }

  private TransportBench() {}

  /** Prints a line for each way and size. */
  public static void main(String[] args) {
    for (TransportWaysTest.Opened way : TransportWaysTest.Opened.values()) {
      for (int size : SIZES) {
        new TransportBench().measure(way, size);
      }
    }
  }

  private void measure(TransportWaysTest.Opened way, int size) {
    try (Arena arena = Arena.ofShared();
        Transport transport = way.open(receiver)) {
      BlockingQueue<Payload> sources = new ArrayBlockingQueue<>(IN_FLIGHT);
      for (int i = 0; i < IN_FLIGHT; i++) {
        sources.add(new Pooled(arena.allocate(size, 64).fill((byte) i), sources));
      }
      for (int i = 0; i < 2 * IN_FLIGHT; i++) {
        free.add(new Pooled(arena.allocate(size, 64).fill((byte) i), free));
      }
      BatchHeader header = Batches.header(1, size / 4096, 1024);
      stream(transport, header, sources, WARM_UP_BYTES / size);
      long batches = MEASURED_BYTES / size;
      double seconds = stream(transport, header, sources, batches);
      long[] latencies = single(transport, header, sources);
      System.out.printf(
          "way=%s batch_bytes=%d GB/s=%.2f us_per_batch=%.2f latency_us_p50=%.1f p99=%.1f%n",
          way,
          size,
          batches * size / seconds / 1e9,
          seconds / batches * 1e6,
          latencies[latencies.length / 2] / 1e3,
          latencies[latencies.length * 99 / 100] / 1e3);
    }
  }

  private double stream(
      Transport transport, BatchHeader header, BlockingQueue<Payload> sources, long batches) {
    numArrived.set(0);
    long startNs = System.nanoTime();
    for (long sent = 0; sent < batches; ) {
      Payload payload = sent - numArrived.get() < IN_FLIGHT ? sources.poll() : null;
      if (payload == null) {
        LockSupport.parkNanos(1_000);
      } else if (transport.offer(TransportWaysTest.NODE, header, payload) == Offer.ACCEPTED) {
        sent++;
      } else {
        sources.add(payload);
      }
    }
    Eventually.await("arrivals", () -> numArrived.get() == batches);
    return (System.nanoTime() - startNs) / 1e9;
  }

  private long[] single(Transport transport, BatchHeader header, BlockingQueue<Payload> sources) {
    long[] latencies = new long[SINGLES];
    for (int i = 0; i < SINGLES; i++) {
      long before = numArrived.get();
      while (sources.size() < IN_FLIGHT) {
        Thread.onSpinWait();
      }
      Payload payload = sources.poll();
      long startNs = System.nanoTime();
      transport.offer(TransportWaysTest.NODE, header, payload);
      while (numArrived.get() == before) {
        LockSupport.parkNanos(10_000); // not a spin: the transport's threads need the cores
      }
      latencies[i] = arrivedNs.get() - startNs;
    }
    Arrays.sort(latencies);
    return latencies;
  }
}

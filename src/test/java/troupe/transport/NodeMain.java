package troupe.transport;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import troupe.ChildJvm;
import troupe.transport.Transport.Offer;
import troupe.transport.TransportSettings.Mode;

/** The main class of a {@link NodeProcess}: sends every batch back to its first peer. */
final class NodeMain implements BatchReceiver, TransportEvents {
  private record Arrival(BatchHeader header, CountedPayload payload) {}

  private final BlockingQueue<Arrival> arrivals = new LinkedBlockingQueue<>();
  private final AtomicLong errors = new AtomicLong();
  private final Path shelf;
  private volatile boolean isStalling;
  private volatile boolean isCopying;
  private volatile int echoNode = -1;

  private NodeMain(Path shelf) {
    this.shelf = shelf;
  }

  /** Arguments: mode, node, directory. */
  public static void main(String[] args) throws IOException {
    Path directory = Path.of(args[2]);
    new NodeMain(directory).run(Mode.valueOf(args[0]), Integer.parseInt(args[1]), directory);
  }

  private void run(Mode mode, int node, Path directory) throws IOException {
    TransportSettings settings = settings(mode, node, directory);
    try (NodeTransport transport = NodeTransport.open(settings, this, this)) {
      Endpoint local = transport.local();
      ChildJvm.answer(
          "%d\t%s\t%s\t%s"
              .formatted(local.node(), local.channel(), local.machine(), local.directory()));
      Thread.ofPlatform().daemon().start(() -> echo(transport));
      BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
      String line;
      while ((line = in.readLine()) != null && !line.equals("quit")) {
        int space = line.indexOf(' ');
        String verb = space < 0 ? line : line.substring(0, space);
        ChildJvm.answer(onCommand(transport, verb, line.substring(space + 1)));
      }
    }
  }

  /**
   * The settings of all nodes of these tests: small enough to fill, large enough to be quick, and
   * not all with as many threads.
   */
  static TransportSettings settings(Mode mode, int node, Path directory) {
    return TransportSettings.of(Batches.RUN_ID, node, mode)
        .with(directory, 8192, 1 << 20)
        .withThreads(1 + node % 3, node % 3 == 1);
  }

  private String onCommand(NodeTransport transport, String verb, String rest) {
    switch (verb) {
      case "connect" -> {
        String[] parts = rest.split("\t");
        List<Endpoint> peers = new ArrayList<>();
        for (int i = 0; i < parts.length; i += 4) {
          int node = Integer.parseInt(parts[i]);
          peers.add(new Endpoint(node, parts[i + 1], parts[i + 2], parts[i + 3]));
        }
        transport.connect(peers);
        echoNode = peers.getFirst().node();
      }
      case "epoch" -> transport.setEpoch(Integer.parseInt(rest));
      case "stall" -> isStalling = true;
      case "copying" -> isCopying = Boolean.parseBoolean(rest);
      case "counters" -> {
        TransportCounters c = transport.counters();
        return "pickUp=%d ipc=%d udp=%d ipcBytes=%d foreign=%d rejected=%d naks=%d busyNs=%d errors=%d"
            .formatted(
                c.pickUp().batchesReceived(),
                c.ipc().batchesReceived(),
                c.udp().batchesReceived(),
                c.ipc().bytesReceived(),
                c.foreignFrames(),
                c.malformedFrames() + c.corruptFrames() + c.foreignFrames(),
                c.naksSent(),
                c.busyNs(),
                errors.get());
      }
      default -> throw new IllegalArgumentException(verb);
    }
    return "done";
  }

  private void echo(Transport transport) {
    try {
      while (true) {
        Arrival arrival = arrivals.take();
        Payload rows = new ShelvedPayload(arrival.payload, shelf);
        while (transport.offer(echoNode, arrival.header, rows) != Offer.ACCEPTED) {
          LockSupport.parkNanos(100_000);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public Payload allocate(BatchHeader header) {
    return new CountedPayload(Arena.ofAuto().allocate(header.payloadBytes(), 64));
  }

  @Override
  public PickUp pickUp(int node, BatchHeader header, byte[] reference) {
    return new PickUp(ShelvedPayload.read(reference), () -> !isCopying, () -> {});
  }

  @Override
  public void onBatch(BatchHeader header, Payload payload) {
    while (isStalling) {
      LockSupport.park();
    }
    arrivals.add(new Arrival(header, (CountedPayload) payload));
  }

  @Override
  public void onError(Throwable error) {
    errors.incrementAndGet();
    System.err.println("child: " + error);
  }
}

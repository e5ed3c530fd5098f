package troupe.coordinator.run;

import io.aeron.exceptions.AeronException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import troupe.coordinator.compute.ComputeThreads;
import troupe.core.UserException;
import troupe.core.config.RunConfig;
import troupe.core.tensor.DeviceGroup;
import troupe.transport.BatchHeader;
import troupe.transport.BatchReceiver;
import troupe.transport.InProcessTransport;
import troupe.transport.NodeTransport;
import troupe.transport.Transport;
import troupe.transport.TransportEvents;
import troupe.transport.TransportSettings;
import troupe.transport.TransportSettings.Mode;

/** Opens the data plane that a config asks for. */
public final class DataPlane {
  private static final Logger LOG = LoggerFactory.getLogger(DataPlane.class);

  /** So that most cores are left to what uses the rows. */
  private static final int CORES_A_THREAD = 4;

  /** Together they copy faster than the one thread of Aeron's driver clears what was copied. */
  private static final int MOST_THREADS = 4;

  private DataPlane() {}

  /**
   * Opens the way that {@code config} names, within this process.
   *
   * @throws UserException if the machine lacks what the way needs
   */
  static Transport open(
      RunConfig config, DeviceGroup devices, long runId, int node, BatchReceiver receiver) {
    return switch (config.transport().mode()) {
      case AUTO -> new InProcessTransport(node, receiver);
      case IPC -> aeron(TransportSettings.of(runId, node, Mode.IPC), config, devices, receiver);
      case UDP -> aeron(TransportSettings.of(runId, node, Mode.UDP), config, devices, receiver);
    };
  }

  /**
   * Opens the way of one node of many.
   *
   * @throws UserException if the machine lacks what the way needs
   */
  public static NodeTransport openNode(
      RunConfig config, DeviceGroup devices, long runId, int node, BatchReceiver receiver) {
    Mode mode =
        switch (config.transport().mode()) {
          case AUTO -> Mode.AUTO;
          case IPC -> Mode.IPC;
          case UDP -> Mode.UDP;
        };
    NodeTransport transport =
        aeron(
            TransportSettings.of(runId, node, mode)
                .at(config.cluster().host(), config.cluster().dataPort()),
            config,
            devices,
            receiver);
    try {
      devices.devices().forEach(device -> device.signalIn(transport.folder()));
    } catch (RuntimeException e) {
      transport.close();
      throw e;
    }
    return transport;
  }

  private static NodeTransport aeron(
      TransportSettings settings, RunConfig config, DeviceGroup devices, BatchReceiver receiver) {
    RunConfig.Transport transport = config.transport();
    Path directory = transport.directory().isEmpty() ? null : Path.of(transport.directory());
    try {
      return NodeTransport.open(
          settings
              .with(directory, transport.mtuBytes(), transport.termBytes())
              .withThreads(threads(config), !isHelped(config, devices)),
          receiver,
          new Log());
    } catch (IllegalStateException
        | IllegalArgumentException
        | UncheckedIOException
        | AeronException e) {
      throw mistake(e);
    }
  }

  /**
   * Whether compute threads are to move batches, too. Not those that hand a GPU its work, if the
   * transport has cores of its own.
   */
  public static boolean isHelped(RunConfig config, DeviceGroup devices) {
    return devices.first().isHostMemory() || threads(config) == 1;
  }

  private static int threads(RunConfig config) {
    int configured = config.transport().threads();
    int cores = ComputeThreads.count(config.cluster().threads());
    return configured > 0 ? configured : Math.clamp(cores / CORES_A_THREAD, 1, MOST_THREADS);
  }

  /** The transport ends its messages with a hint where it knows one. */
  private static UserException mistake(RuntimeException failure) {
    String[] parts = String.valueOf(failure.getMessage()).split("\\s*HINT: ", 2);
    return new UserException(
        "transport: " + parts[0].strip(),
        parts.length == 2 ? parts[1].strip() : "transport.mode=auto needs nothing of the machine",
        failure);
  }

  /** What the transport could not deliver goes to the log; whoever waits for it asks again. */
  private static final class Log implements TransportEvents {
    @Override
    public void onDisconnected(int node) {
      LOG.info("node={} disconnected", node);
    }

    @Override
    public void onUndelivered(int node, BatchHeader header, Undelivered reason) {
      // Of an epoch that has ended, or of a run that has: nobody waits for it.
      if (reason != Undelivered.CLOSED && reason != Undelivered.OLD_EPOCH) {
        LOG.warn("node={} undelivered={} cause={}", node, header, reason);
      }
    }

    @Override
    public void onOutOfReach(int node) {
      LOG.info("node={} cannot reach the memory of a device here: its rows are sent", node);
    }

    @Override
    public void onAbandoned(BatchHeader header) {
      LOG.warn("abandoned={}", header);
    }

    @Override
    public void onError(Throwable error) {
      LOG.error("transport", error);
    }
  }
}

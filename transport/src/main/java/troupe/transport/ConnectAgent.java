package troupe.transport;

import org.agrona.concurrent.Agent;
import org.agrona.concurrent.NanoClock;

/** Keeps this node connected to its own driver. */
final class ConnectAgent implements Agent {
  private final DriverClient client;
  private final NanoClock clock;

  ConnectAgent(DriverClient client, NanoClock clock) {
    this.client = client;
    this.clock = clock;
  }

  @Override
  public int doWork() {
    return client.work(clock.nanoTime());
  }

  @Override
  public String roleName() {
    return "transport-connect";
  }
}

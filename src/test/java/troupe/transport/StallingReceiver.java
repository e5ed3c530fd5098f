package troupe.transport;

import java.util.concurrent.CountDownLatch;
import troupe.Eventually;

/** Takes the first batch and then stands still, as no receiver may, until it is told to go on. */
final class StallingReceiver implements BatchReceiver {
  private final RecordingReceiver receiver = new RecordingReceiver();
  private final CountDownLatch stalled = new CountDownLatch(1);
  private final CountDownLatch goOn = new CountDownLatch(1);

  @Override
  public Payload allocate(BatchHeader header) {
    return receiver.allocate(header);
  }

  @Override
  public void onBatch(BatchHeader header, Payload payload) {
    receiver.onBatch(header, payload);
    stalled.countDown();
    try {
      goOn.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  void goOn() {
    goOn.countDown();
  }

  void awaitStalled() {
    Eventually.await("stall", () -> stalled.getCount() == 0);
  }

  RecordingReceiver received() {
    return receiver;
  }
}

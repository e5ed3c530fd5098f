package troupe.transport;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import troupe.Eventually;
import troupe.transport.Transport.Offer;

class OutboundQueueTest {
  private final OutboundQueue queue = new OutboundQueue(new TransportSettings.Outbound(3, 1000));

  private static Outbound batch(int bytes) {
    BatchHeader header = Batches.header(0, bytes / 4, 1);
    return new Outbound(header, new CountedPayload(bytes), bytes);
  }

  @Test
  void shouldRefuseWhenThereAreTooManyBatches() {
    for (int i = 0; i < 3; i++) {
      assertEquals(Offer.ACCEPTED, queue.offer(batch(0)));
    }
    assertEquals(Offer.BACK_PRESSURED, queue.offer(batch(0)));
    Outbound first = queue.poll();
    assertEquals(Offer.BACK_PRESSURED, queue.offer(batch(0)), "a batch counts until it is sent");
    queue.done(first);
    assertEquals(Offer.ACCEPTED, queue.offer(batch(0)));
  }

  @Test
  void shouldRefuseWhenThereAreTooManyBytes() {
    assertEquals(Offer.ACCEPTED, queue.offer(batch(600)));
    assertEquals(Offer.BACK_PRESSURED, queue.offer(batch(404)));
    assertEquals(Offer.ACCEPTED, queue.offer(batch(400)));
    assertEquals(1000, queue.bytes());
  }

  @Test
  void shouldTakeATooLargeBatchWhenEmpty() {
    assertEquals(Offer.ACCEPTED, queue.offer(batch(4000)));
    assertEquals(Offer.BACK_PRESSURED, queue.offer(batch(4)));
    queue.done(queue.poll());
    assertEquals(0, queue.bytes());
    assertEquals(Offer.ACCEPTED, queue.offer(batch(4)));
  }

  @Test
  void shouldHoldEveryAcceptedBatchOnceClosed() throws InterruptedException {
    for (int round = 0; round < 200; round++) {
      OutboundQueue contended = new OutboundQueue(new TransportSettings.Outbound(1 << 10, 1 << 20));
      AtomicInteger accepted = new AtomicInteger();
      List<Thread> offering =
          IntStream.range(0, 3)
              .mapToObj(
                  t ->
                      Thread.ofPlatform()
                          .start(
                              () -> {
                                while (contended.offer(batch(4)) == Offer.ACCEPTED) {
                                  accepted.incrementAndGet();
                                }
                              }))
              .toList();
      Eventually.await("offers", () -> accepted.get() > 0);
      contended.close();
      int found = 0;
      while (contended.poll() != null) {
        found++;
      }
      for (Thread thread : offering) {
        thread.join();
      }
      assertEquals(accepted.get(), found);
      assertEquals(null, contended.poll(), "nothing got in after close");
      assertTrue(found > 0);
    }
  }
}

package troupe.transport;

import io.aeron.Subscription;
import io.aeron.logbuffer.ControlledFragmentHandler;
import io.aeron.logbuffer.Header;
import java.util.function.IntSupplier;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.NanoClock;

/**
 * The receiving side of one way: hands frames to the assembler and leaves those that it holds where
 * they are.
 */
final class ReceiveSide implements ControlledFragmentHandler {
  /** As many as one round of sending, see {@link SendSide}. */
  private static final int FRAMES_A_ROUND = 4;

  private final Listener listener;
  private final Assembler assembler;
  private final PickUps pickUps;
  private final IntSupplier epoch;
  private final NanoClock clock;
  private long nowNs;

  ReceiveSide(
      Listener listener, Assembler assembler, PickUps pickUps, IntSupplier epoch, NanoClock clock) {
    this.listener = listener;
    this.assembler = assembler;
    this.pickUps = pickUps;
    this.epoch = epoch;
    this.clock = clock;
  }

  /** A whole round: keeps listening, may wait for Aeron's driver, and receives. */
  int doWork() {
    listener.keepOpen(clock.nanoTime());
    return receive() + assembler.expire(nowNs);
  }

  /** The part of a round that never waits: takes what is there. Returns the work done. */
  int receive() {
    nowNs = clock.nanoTime();
    assembler.epoch(epoch.getAsInt());
    Subscription subscription = listener.subscription();
    int taken = subscription == null ? 0 : subscription.controlledPoll(this, FRAMES_A_ROUND);
    return listener.way() == Way.IPC ? taken + pickUps.giveBack() : taken;
  }

  @Override
  public Action onFragment(DirectBuffer buffer, int offset, int length, Header header) {
    Verdict verdict = assembler.onFrame(listener.way(), buffer, offset, length, nowNs);
    return verdict == Verdict.HELD ? Action.ABORT : Action.CONTINUE;
  }

  void close() {
    assembler.close();
    pickUps.close();
  }
}

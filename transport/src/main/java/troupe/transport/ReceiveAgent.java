package troupe.transport;

import io.aeron.Subscription;
import io.aeron.logbuffer.ControlledFragmentHandler;
import io.aeron.logbuffer.Header;
import java.util.function.IntSupplier;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.Agent;
import org.agrona.concurrent.NanoClock;

/**
 * The receiving side of one way: hands frames to the assembler and leaves those that it holds where
 * they are.
 */
final class ReceiveAgent implements Agent, ControlledFragmentHandler {
  /** As many as one round of sending, see {@link SendAgent}. */
  private static final int FRAMES_A_ROUND = 4;

  private final Listener listener;
  private final Assembler assembler;
  private final IntSupplier epoch;
  private final NanoClock clock;
  private long nowNs;

  ReceiveAgent(Listener listener, Assembler assembler, IntSupplier epoch, NanoClock clock) {
    this.listener = listener;
    this.assembler = assembler;
    this.epoch = epoch;
    this.clock = clock;
  }

  @Override
  public int doWork() {
    nowNs = clock.nanoTime();
    assembler.epoch(epoch.getAsInt());
    Subscription subscription = listener.subscription(nowNs);
    int frames = subscription == null ? 0 : subscription.controlledPoll(this, FRAMES_A_ROUND);
    return frames + assembler.expire(nowNs);
  }

  @Override
  public Action onFragment(DirectBuffer buffer, int offset, int length, Header header) {
    Verdict verdict = assembler.onFrame(listener.way(), buffer, offset, length, nowNs);
    return verdict == Verdict.HELD ? Action.ABORT : Action.CONTINUE;
  }

  @Override
  public void onClose() {
    assembler.close();
  }

  @Override
  public String roleName() {
    return "transport-receive-" + listener.way();
  }
}

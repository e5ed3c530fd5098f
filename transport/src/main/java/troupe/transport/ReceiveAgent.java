package troupe.transport;

import io.aeron.Subscription;
import io.aeron.logbuffer.ControlledFragmentHandler;
import io.aeron.logbuffer.Header;
import java.util.function.IntSupplier;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.Agent;
import org.agrona.concurrent.NanoClock;

/**
 * The receiving side: hands frames to the assembler and leaves those that it holds where they are.
 */
final class ReceiveAgent implements Agent, ControlledFragmentHandler {
  /** As many as one round of sending, see {@link SendAgent}. */
  private static final int FRAMES_A_ROUND = 4;

  private final Subscription subscription;
  private final Assembler assembler;
  private final IntSupplier epoch;
  private final NanoClock clock;
  private long nowNs;

  ReceiveAgent(Subscription subscription, Assembler assembler, IntSupplier epoch, NanoClock clock) {
    this.subscription = subscription;
    this.assembler = assembler;
    this.epoch = epoch;
    this.clock = clock;
  }

  @Override
  public int doWork() {
    nowNs = clock.nanoTime();
    assembler.epoch(epoch.getAsInt());
    return subscription.controlledPoll(this, FRAMES_A_ROUND) + assembler.expire(nowNs);
  }

  @Override
  public Action onFragment(DirectBuffer buffer, int offset, int length, Header header) {
    Verdict verdict = assembler.onFrame(buffer, offset, length, nowNs);
    return verdict == Verdict.HELD ? Action.ABORT : Action.CONTINUE;
  }

  @Override
  public void onClose() {
    assembler.close();
  }

  @Override
  public String roleName() {
    return "transport-receive";
  }
}

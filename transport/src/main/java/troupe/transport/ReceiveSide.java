package troupe.transport;

import io.aeron.Image;
import io.aeron.logbuffer.ControlledFragmentHandler;
import io.aeron.logbuffer.Header;
import java.util.function.IntSupplier;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.NanoClock;

/**
 * What a strand receives by one way: hands frames to the assembler and leaves those that it holds
 * where they are.
 */
final class ReceiveSide implements ControlledFragmentHandler {
  /** As many as one round of sending, see {@link SendSide}. */
  private static final int FRAMES_A_ROUND = 4;

  private final Listener listener;
  private final int strand;
  private final Assembler assembler;
  private final PickUps pickUps;
  private final IntSupplier epoch;
  private final NanoClock clock;
  private long nowNs;
  private int first;

  ReceiveSide(
      Listener listener,
      int strand,
      Assembler assembler,
      PickUps pickUps,
      IntSupplier epoch,
      NanoClock clock) {
    this.listener = listener;
    this.strand = strand;
    this.assembler = assembler;
    this.pickUps = pickUps;
    this.epoch = epoch;
    this.clock = clock;
  }

  /** A whole round: the first strand keeps listening, may wait for Aeron's driver; receives. */
  int doWork() {
    if (strand == 0) {
      listener.keepOpen(clock.nanoTime());
    }
    return receive() + assembler.expire(nowNs);
  }

  /** The part of a round that never waits: takes what is there. Returns the work done. */
  int receive() {
    nowNs = clock.nanoTime();
    assembler.epoch(epoch.getAsInt());
    Image[] images = listener.images(strand);
    // Each round begins with another, so that none waits for those before it.
    first = first + 1 < images.length ? first + 1 : 0;
    int frames = 0;
    for (int i = 0; i < images.length && frames < FRAMES_A_ROUND; i++) {
      frames += images[(first + i) % images.length].controlledPoll(this, FRAMES_A_ROUND - frames);
    }
    return listener.way() == Way.IPC ? frames + pickUps.giveBack() : frames;
  }

  @Override
  public Action onFragment(DirectBuffer buffer, int offset, int length, Header header) {
    Verdict verdict = assembler.onFrame(listener.way(), buffer, offset, length, nowNs);
    return verdict == Verdict.HELD ? Action.ABORT : Action.CONTINUE;
  }

  void close() {
    assembler.close();
    if (strand == 0) {
      // The others have ended.
      pickUps.close();
    }
  }
}

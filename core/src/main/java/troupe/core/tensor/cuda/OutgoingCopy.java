package troupe.core.tensor.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import troupe.core.tensor.Staged;
import troupe.core.tensor.cuda.SlabPool.Piece;

/**
 * Elements on their way from a GPU: a copy to pinned memory that begins as soon as there is some,
 * or one to ordinary memory, which whoever wants them waits for.
 */
final class OutgoingCopy implements Staged {
  private final Gpu gpu;
  private final PinnedCopies copies;
  private final Transfers transfers;
  private final CudaTensor from;
  private final long bytes;
  private final long ready;
  private final boolean last;

  /** Where they are copied to; null if there was no room. */
  private Piece piece;

  private long over;

  /** When somebody asked first. */
  private long askedNs;

  /** Where they are; null until they are. */
  private MemorySegment memory;

  /**
   * Begins the copy if there is room.
   *
   * @param ready the event from which on the elements are there
   * @param last whether the tensor is to be closed once it is copied to pinned memory
   * @throws IllegalStateException if the tensor is closed
   */
  OutgoingCopy(
      Gpu gpu,
      PinnedCopies copies,
      Transfers transfers,
      CudaTensor from,
      long ready,
      boolean last) {
    this.gpu = gpu;
    this.copies = copies;
    this.transfers = transfers;
    this.from = from;
    this.bytes = from.byteSize();
    this.ready = ready;
    this.last = last;
    if (bytes == 0) {
      memory = MemorySegment.NULL;
    }
    begin();
  }

  private void begin() {
    if (memory != null || piece != null) {
      return;
    }
    long address = from.address(gpu, gpu.toHostStream());
    Piece taken = copies.take(bytes);
    if (taken != null) {
      // Should this fail, nobody knows whether a copy is under way: the piece is not lent again.
      over = copies.toHost(taken, address, ready);
      piece = taken;
      if (last) {
        from.closeAfter(over);
      } else {
        from.block().readUntil(over);
      }
    }
  }

  @Override
  public boolean isDone() {
    begin();
    if (memory == null && piece != null) {
      askedNs = askedNs == 0 ? System.nanoTime() : askedNs;
      memory = gpu.isDone(over, askedNs) ? piece.memory() : null;
    }
    return memory != null || piece == null;
  }

  @Override
  public MemorySegment bytes() {
    if (memory == null && piece != null) {
      gpu.awaitEvent(over);
      memory = piece.memory();
    } else if (memory == null) {
      memory = Arena.ofAuto().allocate(bytes, Long.BYTES);
      transfers.send(memory, from.address(gpu, gpu.toHostStream()), ready);
    }
    return memory;
  }

  @Override
  public void close() {
    if (piece != null) {
      copies.give(piece, memory == null ? over : 0);
      piece = null;
    }
    memory = null;
  }
}

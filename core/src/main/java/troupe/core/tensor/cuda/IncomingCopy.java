package troupe.core.tensor.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import troupe.core.tensor.Staged;
import troupe.core.tensor.cuda.SlabPool.Piece;

/** Memory for elements that come from elsewhere: pinned if there is some, else ordinary. */
final class IncomingCopy implements Staged {
  private final PinnedCopies copies;
  private final MemorySegment memory;

  /** Null if it is not pinned, and once it is given back. */
  private Piece piece;

  private long over;

  IncomingCopy(PinnedCopies copies, long bytes) {
    this.copies = copies;
    this.piece = bytes == 0 ? null : copies.take(bytes);
    this.memory = piece == null ? Arena.ofAuto().allocate(bytes, Long.BYTES) : piece.memory();
  }

  @Override
  public boolean isDone() {
    return true;
  }

  @Override
  public MemorySegment bytes() {
    return memory;
  }

  /** Copies the elements to memory of the GPU that was allocated for the stream of such copies. */
  void copyTo(Block block, Transfers transfers) {
    if (piece == null && memory.byteSize() > 0) {
      transfers.receive(block.address(), memory);
    } else {
      over = copies.toDevice(block.address(), memory);
      block.arrivesAt(over);
    }
  }

  @Override
  public void close() {
    if (piece != null) {
      copies.give(piece, over);
      piece = null;
    }
  }
}

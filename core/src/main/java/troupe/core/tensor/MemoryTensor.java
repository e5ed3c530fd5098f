package troupe.core.tensor;

/**
 * What tensors of all devices share: a range of a block of memory, as a matrix. A view has the
 * memory of the tensor that it was taken from.
 *
 * @param <M> a block of memory of the device
 */
public abstract class MemoryTensor<M> implements Tensor {
  /** Who owns the memory: this, or the tensor that this is a view of. */
  private final MemoryTensor<M> owner;

  private final long offset;
  private final int rows;
  private final int columns;

  /** Null in views and once closed. */
  private M memory;

  /** A tensor that owns {@code memory}. */
  protected MemoryTensor(M memory, int rows, int columns) {
    this.owner = this;
    this.offset = 0;
    this.rows = rows;
    this.columns = columns;
    this.memory = memory;
  }

  /** A view of {@code rows x columns} elements from element {@code offset} of the owner on. */
  protected MemoryTensor(MemoryTensor<M> owner, long offset, int rows, int columns) {
    this.owner = owner;
    this.offset = offset;
    this.rows = rows;
    this.columns = columns;
  }

  /** A view of the owner, in the class of the device. */
  protected abstract Tensor view(long offset, int rows, int columns);

  /** Gives memory back to the device. */
  protected abstract void release(M memory);

  /** The tensor that owns the memory. */
  protected final MemoryTensor<M> owner() {
    return owner;
  }

  /** Index of this tensor's first element in the memory. */
  protected final long offset() {
    return offset;
  }

  /**
   * The memory, of which this tensor is a range.
   *
   * @throws IllegalStateException if the tensor is closed
   */
  protected final M memory() {
    M open = owner.memory;
    if (open == null) {
      throw new IllegalStateException("tensor: closed (expected: open)");
    }
    return open;
  }

  @Override
  public final int rows() {
    return rows;
  }

  @Override
  public final int columns() {
    return columns;
  }

  @Override
  public final Tensor rows(int from, int count) {
    return slice((long) from * columns, count, columns);
  }

  @Override
  public final Tensor reshape(int newRows, int newColumns) {
    Shapes.reshape(this, newRows, newColumns);
    return slice(0, newRows, newColumns);
  }

  @Override
  public final Tensor slice(long from, int newRows, int newColumns) {
    memory();
    Shapes.view(this, from, newRows, newColumns);
    return view(offset + from, newRows, newColumns);
  }

  /** Closes the tensor without giving its memory back: that is the caller's to do. */
  protected final M takeMemory() {
    M taken = memory;
    memory = null;
    return taken;
  }

  @Override
  public final void close() {
    M given = takeMemory();
    if (given != null) {
      release(given);
    }
  }
}

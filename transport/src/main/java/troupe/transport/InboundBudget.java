package troupe.transport;

/** What all strands together may have begun to receive and not completed. */
final class InboundBudget {
  private final TransportSettings.Inbound bounds;
  private int batches;
  private long bytes;

  InboundBudget(TransportSettings.Inbound bounds) {
    this.bounds = bounds;
  }

  TransportSettings.Inbound bounds() {
    return bounds;
  }

  /**
   * Makes room for a batch, or returns false. One larger than the bound may still come alone, or it
   * never could.
   */
  synchronized boolean take(long batchBytes) {
    boolean fits =
        batches == 0 || batches < bounds.batches() && batchBytes <= bounds.bytes() - bytes;
    if (fits) {
      batches++;
      bytes += batchBytes;
    }
    return fits;
  }

  /** The batch is complete or given up. */
  synchronized void give(long batchBytes) {
    batches--;
    bytes -= batchBytes;
  }
}

package troupe.transport;

/**
 * A snapshot of what a transport has done since it started.
 *
 * @param handOff batches that stayed where they were in the process
 * @param peerCopy batches that went to another device of the process
 * @param pickUp batches that the device of another process of this machine copied
 * @param ipc batches through shared memory
 * @param udp batches through sockets
 * @param backPressured offers refused because a queue was full
 * @param malformedFrames frames that are none of ours, or contradict themselves
 * @param duplicateFrames frames that had arrived already
 * @param foreignFrames frames of another run or an older epoch
 * @param corruptFrames frames whose checksum does not match
 * @param refusedBatches batches for which the receiver gave no memory
 * @param abandonedBatches batches that began to arrive and were not completed
 * @param naksSent how often this node asked for lost packets
 * @param naksReceived how often others asked this node
 * @param busyNs time that the threads of the transport spent working, in all: copies, checksums and
 *     the receiver's own work
 * @param driverBusyNs the same of the threads of the Aeron driver: sockets, and clearing logs
 */
public record TransportCounters(
    Traffic handOff,
    Traffic peerCopy,
    Traffic pickUp,
    Traffic ipc,
    Traffic udp,
    long backPressured,
    long malformedFrames,
    long duplicateFrames,
    long foreignFrames,
    long corruptFrames,
    long refusedBatches,
    long abandonedBatches,
    long naksSent,
    long naksReceived,
    long busyNs,
    long driverBusyNs) {

  /** Nothing done. */
  public static final TransportCounters NONE =
      new TransportCounters(
          Traffic.NONE,
          Traffic.NONE,
          Traffic.NONE,
          Traffic.NONE,
          Traffic.NONE,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0);

  /** Batches of one way, and bytes of their rows. */
  public record Traffic(
      long batchesSent, long bytesSent, long batchesReceived, long bytesReceived) {
    /** None. */
    public static final Traffic NONE = new Traffic(0, 0, 0, 0);
  }

  /** Batches sent, whatever the way. */
  public long batchesSent() {
    return handOff.batchesSent
        + peerCopy.batchesSent
        + pickUp.batchesSent
        + ipc.batchesSent
        + udp.batchesSent;
  }

  /** Bytes of the rows of batches sent, whatever the way. */
  public long bytesSent() {
    return handOff.bytesSent
        + peerCopy.bytesSent
        + pickUp.bytesSent
        + ipc.bytesSent
        + udp.bytesSent;
  }

  /** Batches received, whatever the way. */
  public long batchesReceived() {
    return handOff.batchesReceived
        + peerCopy.batchesReceived
        + pickUp.batchesReceived
        + ipc.batchesReceived
        + udp.batchesReceived;
  }

  /** Bytes of the rows of batches received, whatever the way. */
  public long bytesReceived() {
    return handOff.bytesReceived
        + peerCopy.bytesReceived
        + pickUp.bytesReceived
        + ipc.bytesReceived
        + udp.bytesReceived;
  }
}

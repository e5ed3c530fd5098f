package troupe.transport;

/** A snapshot of what a transport has done since it started. */
public record TransportCounters(
    long batchesSent,
    long batchesReceived,
    long bytesSent,
    long bytesReceived,
    long backPressured,
    long malformedFrames,
    long duplicateFrames,
    long foreignFrames,
    long corruptFrames,
    long refusedBatches,
    long abandonedBatches) {}

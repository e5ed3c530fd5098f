package troupe.transport;

/** A batch that waits to be sent. */
record Outbound(BatchHeader header, Payload payload, long bytes) {}

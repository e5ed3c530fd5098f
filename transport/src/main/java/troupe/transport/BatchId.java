package troupe.transport;

/**
 * Names one accepted offer of one transport.
 *
 * @param source drawn at random when a transport starts, so a restarted node is another source
 * @param sequence counts the batches of that source
 */
record BatchId(long source, long sequence) {}

package troupe.transport;

/** The check that every offer begins with. */
final class PayloadLength {
  private PayloadLength() {}

  /**
   * The bytes of a payload.
   *
   * @throws IllegalArgumentException if they are not as many as the header says
   */
  static long check(BatchHeader header, Payload payload) {
    long length = payload.byteSize();
    if (length != header.payloadBytes()) {
      throw new IllegalArgumentException(
          "payload bytes: %d (expected: %d, for %s)"
              .formatted(length, header.payloadBytes(), header));
    }
    return length;
  }
}

package troupe.transport;

/** How a batch gets from one node to another. */
public enum Way {
  /** Within a process: the receiver gets the very payload that was offered. */
  HAND_OFF,
  /**
   * Within a process: the receiver gets the payload, and copies it to another device of its own.
   */
  PEER_COPY,
  /** Through memory that the processes of one machine share. */
  IPC,
  /** Through a socket. */
  UDP
}

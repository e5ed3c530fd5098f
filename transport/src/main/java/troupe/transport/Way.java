package troupe.transport;

/** How a batch gets from one node to another. */
public enum Way {
  /** Within a process: the receiver gets the very payload that was offered. */
  HAND_OFF,
  /**
   * Within a process: the receiver gets the payload, and copies it to another device of its own.
   */
  PEER_COPY,
  /**
   * Between processes of one machine: the receiver's device copies the rows from where the sender's
   * holds them ready. Only a notice of them is sent.
   */
  PICK_UP,
  /** Through memory that the processes of one machine share. */
  IPC,
  /** Through a socket. */
  UDP
}

/**
 * The data plane: token batches between routers and experts, by hand-off, Aeron IPC or Aeron UDP.
 */
package troupe.transport;

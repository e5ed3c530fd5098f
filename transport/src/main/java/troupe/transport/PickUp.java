package troupe.transport;

import java.util.function.BooleanSupplier;

/**
 * Rows that this process copies from where another one of its machine lends them.
 *
 * @param payload the rows, for whoever gets the batch; they need not have come yet
 * @param over whether nothing reads the lender's memory any more; asked again and again, by one
 *     thread at a time, also when the payload is released already
 * @param abandon asked when the lender may never have the rows there: nothing is to wait for them
 *     any more. On any thread, also more than once and when it is over; waits for nothing
 */
public record PickUp(Payload payload, BooleanSupplier over, Runnable abandon) {
  /** This process cannot reach the memory: the lender has to send the rows. */
  public static final PickUp OUT_OF_REACH = new PickUp(null, () -> true, () -> {});
}

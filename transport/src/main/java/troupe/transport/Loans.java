package troupe.transport;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import troupe.transport.Returns.Answer;

/**
 * Batches whose rows another process of this machine copies from where they lie. Each is lent until
 * that process says that it has them, or that it cannot reach them, or is gone. Used by one thread
 * at a time.
 */
final class Loans {
  private record Loan(long number, Outbound batch) {}

  private final long lender = ThreadLocalRandom.current().nextLong();
  private final int node;
  private final Path file;
  private final ArrayDeque<Loan> open = new ArrayDeque<>();
  private long next = 1;
  private Returns returns;

  /**
   * Loans to a process.
   *
   * @param node this node
   * @param borrower the folder of the other process's driver
   */
  Loans(int node, Path borrower) {
    this.node = node;
    this.file = Returns.file(borrower, lender);
  }

  /** Whether another batch can be lent now. */
  boolean hasRoom() {
    return open.size() < Returns.CAPACITY;
  }

  /**
   * What to send for the next loan.
   *
   * @throws IOException if the other process's folder cannot be written
   */
  Notice notice(byte[] reference) throws IOException {
    if (returns == null) {
      returns = Returns.create(file);
    }
    return new Notice(lender, next, node, reference);
  }

  /** Lends a batch: its notice is sent. */
  void add(Outbound batch) {
    open.add(new Loan(next, batch));
    next++;
  }

  /**
   * Takes back what is given back, in the order in which it was lent.
   *
   * @param toEach what becomes of a batch
   * @return how many there were
   */
  int settle(BiConsumer<Outbound, Answer> toEach) {
    int settled = 0;
    while (!open.isEmpty()) {
      Loan oldest = open.peek();
      Answer answer = returns.of(oldest.number());
      if (answer == Answer.NONE) {
        break;
      }
      open.remove();
      toEach.accept(oldest.batch(), answer);
      settled++;
    }
    return settled;
  }

  /** The other process is gone, or has no say any more: all of it is this one's again. */
  void recall(Consumer<Outbound> toEach) {
    while (!open.isEmpty()) {
      toEach.accept(open.remove().batch());
    }
    if (returns != null) {
      returns.close();
      returns = null;
      deleteFile();
    }
  }

  private void deleteFile() {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      // It goes with the folder of the other process.
    }
  }
}

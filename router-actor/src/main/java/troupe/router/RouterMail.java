package troupe.router;

import java.util.function.IntConsumer;
import troupe.core.tensor.Tensor;
import troupe.expert.Outbox;
import troupe.expert.network.TensorPayload;
import troupe.router.pass.Outgoing;
import troupe.router.trunk.LayerStats;
import troupe.router.trunk.RankState;
import troupe.transport.BatchHeader;
import troupe.transport.Phase;

/**
 * What a router sends: rows with their headers to experts and other ranks, events to the
 * coordinator.
 */
final class RouterMail implements AutoCloseable {
  private final RouterActor.Settings settings;
  private final RankState state;
  private final Outbox outbox;
  private final Runnable retryLater;

  /**
   * Mail of a rank.
   *
   * @param retryLater has {@link #flush} called soon; asked whenever something has to wait
   */
  RouterMail(RouterActor.Settings settings, RankState state, Runnable retryLater) {
    this.settings = settings;
    this.state = state;
    this.outbox = new Outbox(settings.transport());
    this.retryLater = retryLater;
  }

  /**
   * Where the pass of a step, or of an evaluation, sends its rows and stats.
   *
   * @param whenFinal told the layer down to which the trunk's gradients are final
   */
  Outgoing ofPass(long step, IntConsumer whenFinal) {
    return new Outgoing() {
      @Override
      public void send(Phase phase, int microBatch, int layer, int expert, Tensor rows) {
        // An expert that is late may look at rows of an evaluation after the pass is over: nothing
        // says that it has ended, as a committed step does. So it gets its own.
        boolean outlivesPass = phase == Phase.EVALUATE;
        post(
            settings.placement().nodeOfExpert(layer, expert),
            header(phase, step, layer, microBatch, expert, rows),
            outlivesPass ? TensorPayload.given(copy(rows)) : TensorPayload.lent(rows));
      }

      @Override
      public void routed(int layer, LayerStats stats) {
        tell(new RouterActor.Routed(epoch(), step, state.rank(), layer, stats));
      }

      @Override
      public void gradientsFinal(int layer) {
        whenFinal.accept(layer);
      }
    };
  }

  /** Sends a slice of the trunk or a segment of one, which stays this rank's. */
  void toRank(Phase phase, long step, int segment, int rank, Tensor elements) {
    post(
        settings.placement().nodeOfRank(rank),
        header(phase, step, -1, segment, rank, elements),
        TensorPayload.lent(elements));
  }

  /** Tells the coordinator. */
  void tell(RouterActor.Event event) {
    settings.events().tell(event);
  }

  /** Offers again what the transport had no room for. */
  void flush() {
    if (!outbox.flush()) {
      retryLater.run();
    }
  }

  private void post(int node, BatchHeader header, TensorPayload rows) {
    if (!outbox.send(node, header, rows)) {
      retryLater.run();
    }
  }

  private BatchHeader header(
      Phase phase, long step, int layer, int microBatch, int expert, Tensor rows) {
    return new BatchHeader(
        settings.runId(),
        epoch(),
        step,
        layer,
        microBatch,
        state.rank(),
        expert,
        phase,
        rows.dtype().code(),
        rows.rows(),
        rows.columns());
  }

  private Tensor copy(Tensor rows) {
    Tensor copy = state.device().allocateActivations(rows.rows(), rows.columns());
    state.device().kernels().copy(copy, rows);
    return copy;
  }

  private int epoch() {
    return state.incarnations().epoch();
  }

  /** Forgets what waits. */
  @Override
  public void close() {
    outbox.close();
  }
}

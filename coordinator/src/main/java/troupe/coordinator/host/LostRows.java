package troupe.coordinator.host;

import akka.actor.DeadLetter;
import akka.actor.typed.Behavior;
import akka.actor.typed.eventstream.EventStream;
import akka.actor.typed.javadsl.Behaviors;
import troupe.expert.ExpertActor;
import troupe.router.RouterActor;

/** Gives back the rows of batches that came to a router or expert after it had stopped. */
final class LostRows {
  private LostRows() {}

  static Behavior<DeadLetter> create() {
    return Behaviors.setup(
        context -> {
          context
              .getSystem()
              .eventStream()
              .tell(new EventStream.Subscribe<>(DeadLetter.class, context.getSelf()));
          return Behaviors.receiveMessage(
              letter -> {
                switch (letter.message()) {
                  case ExpertActor.Deliver deliver -> deliver.rows().release();
                  case RouterActor.Deliver deliver -> deliver.rows().release();
                  default -> {}
                }
                return Behaviors.same();
              });
        });
  }
}

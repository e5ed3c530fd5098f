package troupe.simulation;

import akka.actor.typed.ActorRef;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import troupe.coordinator.Coordinator;
import troupe.coordinator.placement.ExpertId;
import troupe.expert.ExpertActor;
import troupe.router.RouterActor;

/** Owners of parameters wherever they live, as the coordinator sees them. */
final class ScatteredOwners implements Coordinator.Owners {
  private final Map<Integer, ActorRef<RouterActor.Command>> routers = new TreeMap<>();
  private final Map<ExpertId, ActorRef<ExpertActor.Command>> experts = new TreeMap<>();
  private final java.util.function.IntConsumer newEpoch;

  ScatteredOwners(java.util.function.IntConsumer newEpoch) {
    this.newEpoch = newEpoch;
  }

  void add(int rank, ActorRef<RouterActor.Command> router) {
    routers.put(rank, router);
  }

  void add(ExpertId id, ActorRef<ExpertActor.Command> expert) {
    experts.put(id, expert);
  }

  ActorRef<RouterActor.Command> router(int rank) {
    return routers.get(rank);
  }

  @Override
  public List<ActorRef<RouterActor.Command>> routers() {
    return List.copyOf(routers.values());
  }

  @Override
  public List<ActorRef<ExpertActor.Command>> experts() {
    return new ArrayList<>(experts.values());
  }

  @Override
  public ActorRef<ExpertActor.Command> expert(int layer, int expert) {
    return experts.get(new ExpertId(layer, expert));
  }

  @Override
  public void epoch(int epoch) {
    newEpoch.accept(epoch);
  }
}

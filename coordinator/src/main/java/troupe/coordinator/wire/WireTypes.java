package troupe.coordinator.wire;

import static troupe.coordinator.wire.WireType.message;
import static troupe.coordinator.wire.WireType.part;

import java.lang.reflect.RecordComponent;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.zip.CRC32C;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.host.EpochPlan;
import troupe.coordinator.host.Host;
import troupe.coordinator.host.Inventory;
import troupe.coordinator.host.ShardId;
import troupe.coordinator.placement.ExpertId;
import troupe.coordinator.placement.NodeInfo;
import troupe.coordinator.placement.Place;
import troupe.coordinator.placement.Placement;
import troupe.core.tensor.AdamWStep;
import troupe.expert.ExpertActor;
import troupe.router.RouterActor;
import troupe.router.Sampling;
import troupe.router.trunk.LayerStats;
import troupe.transport.Phase;

/**
 * Every type that travels between nodes, with the number that stands for it. A new message is a new
 * line here, and in {@code wire.conf} if its sealed interface is new, too. Numbers are never used
 * again for another type; those below 128 take one byte.
 */
public final class WireTypes {
  /** Changes when the way of writing types changes. */
  private static final String FORMAT = "troupe-kryo-1";

  static final List<WireType> ALL =
      List.of(
          message(16, Host.Report.class),
          message(17, Host.Prepare.class),
          message(18, Host.ToRouters.class),
          message(19, Host.ToRouter.class),
          message(20, Host.ToExperts.class),
          message(21, Host.ToExpert.class),
          message(22, Host.Replicate.class),
          message(23, Host.Keep.class),
          message(24, Host.Checkpoint.class),
          message(25, Host.Finish.class),
          message(26, Host.Fetch.class),
          part(27, Host.Arrived.class),
          message(28, Host.Release.class),
          message(29, Host.Receipts.class),
          message(40, Host.Reported.class),
          message(41, Host.Prepared.class),
          message(42, Host.Preparing.class),
          message(43, Host.Failed.class),
          message(44, Host.Bundle.class),
          message(45, Host.Replicated.class),
          message(46, Host.Stale.class),
          message(47, Host.Leaving.class),
          message(48, Host.MoveAsked.class),
          message(49, Host.StopAsked.class),
          message(52, Host.GaveUp.class),
          message(50, Host.Accepted.class),
          message(51, Host.Refused.class),
          part(60, RouterActor.Step.class),
          part(61, RouterActor.Load.class),
          part(62, RouterActor.Apply.class),
          part(64, RouterActor.Resend.class),
          part(65, RouterActor.Evaluate.class),
          part(66, RouterActor.Generate.class),
          part(70, RouterActor.Routed.class),
          part(71, RouterActor.GradientReady.class),
          part(72, RouterActor.Applied.class),
          part(73, RouterActor.Evaluated.class),
          part(74, RouterActor.Generated.class),
          part(75, RouterActor.Moving.class),
          part(76, RouterActor.Late.class),
          part(77, RouterActor.Diverged.class),
          part(78, RouterActor.Restarted.class),
          part(80, ExpertActor.Apply.class),
          part(90, ExpertActor.GradientReady.class),
          part(91, ExpertActor.Applied.class),
          part(92, ExpertActor.Restarted.class),
          part(100, EpochPlan.class),
          part(101, Placement.class),
          part(102, NodeInfo.class),
          part(103, Inventory.class, "placement"),
          part(104, ShardId.class),
          part(105, ShardId.Kind.class),
          part(106, ExpertId.class),
          part(107, AdamWStep.class),
          part(108, LayerStats.class),
          part(109, Sampling.class),
          part(110, Outcome.Completed.class),
          part(111, Outcome.Stopped.class),
          part(112, Outcome.Failed.class),
          part(113, Phase.class),
          part(114, Place.class));

  /** Public messages that hold tensors or code and so never leave their process. */
  static final Set<Class<?>> LOCAL_ONLY =
      Set.of(
          RouterActor.Deliver.class,
          RouterActor.TakeSnapshot.class,
          ExpertActor.Deliver.class,
          ExpertActor.TakeSnapshot.class,
          Host.Leave.class,
          Host.StoodStill.class,
          Host.Move.class,
          Host.Stop.class);

  /** After the list of types: reflection over all of them takes a third of a millisecond. */
  private static final String FINGERPRINT = computeFingerprint();

  private WireTypes() {}

  /**
   * Eight hexadecimal digits that differ between builds that do not understand one another: over
   * all numbers, names, components and enum constants.
   */
  public static String fingerprint() {
    return FINGERPRINT;
  }

  static String computeFingerprint() {
    CRC32C crc = new CRC32C();
    crc.update(FORMAT.getBytes(StandardCharsets.US_ASCII));
    ALL.stream()
        .map(WireTypes::describe)
        .forEach(line -> crc.update(line.getBytes(StandardCharsets.US_ASCII)));
    return "%08x".formatted(crc.getValue());
  }

  private static String describe(WireType wire) {
    StringBuilder line = new StringBuilder("\n" + wire.id() + " " + wire.type().getName());
    if (wire.type().isEnum()) {
      line.append(Arrays.toString(wire.type().getEnumConstants()));
    } else {
      for (RecordComponent component : wire.type().getRecordComponents()) {
        line.append(' ').append(component.getName());
        line.append(wire.nullable().contains(component.getName()) ? "?:" : ":");
        line.append(component.getGenericType().getTypeName());
      }
    }
    return line.toString();
  }
}

package troupe.coordinator.cluster;

import akka.actor.Address;
import akka.cluster.ClusterEvent.CurrentClusterState;
import akka.cluster.Member;
import akka.cluster.MemberStatus;

/**
 * Names of members. A name travels as a role, which Akka's gossip carries anyway: so every node
 * knows all names, even those of nodes that it never talked to.
 */
final class NodeNames {
  private static final String PREFIX = "name=";

  private NodeNames() {}

  /** Whether a name may be had. */
  enum Standing {
    /** Nobody has it, or its holder was a process at the newcomer's own address: it is dead. */
    FREE,
    /** Its holder is not heard of and about to be given up. */
    SUSPECTED,
    /** Its holder is there, as far as one knows. */
    TAKEN
  }

  /** The role that makes a member go by this name. */
  static String role(String name) {
    return PREFIX + name;
  }

  /** What people call a member; its address if it was given no name. */
  static String of(Member member) {
    return member.getRoles().stream()
        .filter(role -> role.startsWith(PREFIX))
        .map(role -> role.substring(PREFIX.length()))
        .findFirst()
        .orElseGet(() -> hostPort(member.address()));
  }

  /** {@code HOST:PORT}. */
  static String hostPort(Address address) {
    return address.getHost().orElse("") + ":" + address.getPort().map(String::valueOf).orElse("");
  }

  /** Whether a newcomer at {@code address} may have {@code name}. */
  static Standing standing(CurrentClusterState state, String name, String address) {
    for (Member member : state.getMembers()) {
      boolean other = !hostPort(member.address()).equals(address);
      boolean gone =
          member.status().equals(MemberStatus.down())
              || member.status().equals(MemberStatus.removed());
      if (other && !gone && of(member).equals(name)) {
        return state.getUnreachable().contains(member) ? Standing.SUSPECTED : Standing.TAKEN;
      }
    }
    return Standing.FREE;
  }
}

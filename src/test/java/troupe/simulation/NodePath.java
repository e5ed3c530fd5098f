package troupe.simulation;

import akka.actor.ActorPath;

/**
 * Where the actors of a simulation live: {@code /user/SCHEDULE/NODE/...}, so that an actor's path
 * says which node it is on.
 */
final class NodePath {
  /** Root, user, schedule, node. */
  private static final int DEPTH = 3;

  private static final String PREFIX = "n";

  private NodePath() {}

  /** The name of the guardian of a node. */
  static String nameOf(int node) {
    return PREFIX + node;
  }

  /** The node of an actor, or {@link EventLoop#NOBODY}. */
  static int nodeOf(ActorPath path) {
    ActorPath ancestor = path;
    for (int depth = depth(path); depth > DEPTH; depth--) {
      ancestor = ancestor.parent();
    }
    return depth(ancestor) == DEPTH && ancestor.parent().parent().name().equals("user")
        ? Integer.parseInt(ancestor.name().substring(PREFIX.length()))
        : EventLoop.NOBODY;
  }

  private static int depth(ActorPath path) {
    int depth = 0;
    for (ActorPath p = path; p != p.root(); p = p.parent()) {
      depth++;
    }
    return depth;
  }
}

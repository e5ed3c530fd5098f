package troupe.coordinator.cluster;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import troupe.coordinator.cluster.SeedProbe.Finding;
import troupe.coordinator.cluster.SeedProbe.Kind;

/** What a newcomer knows of the nodes that it knocks at, and what follows from it. */
final class Seeds {
  private final String self;
  private final boolean first;
  private final Map<String, Finding> findings = new LinkedHashMap<>();
  private final Map<String, Door.Reply> replies = new LinkedHashMap<>();

  /**
   * @param configured {@code HOST:PORT} of each
   * @param self the newcomer's own address
   */
  Seeds(List<String> configured, String self) {
    this.self = self;
    this.first = configured.isEmpty() || configured.getFirst().equals(self);
    for (String seed : configured) {
      if (!seed.equals(self)) {
        findings.put(seed, new Finding(Kind.NOBODY, "not looked at yet"));
      }
    }
  }

  /** All but the newcomer itself. */
  List<String> others() {
    return List.copyOf(findings.keySet());
  }

  /** Those where somebody listens: to knock elsewhere only makes Akka wait longer each time. */
  List<String> listening() {
    List<String> listening = new ArrayList<>();
    findings.forEach(
        (seed, finding) -> {
          if (finding.kind() == Kind.LISTENER) {
            listening.add(seed);
          }
        });
    return listening;
  }

  void found(String seed, Finding finding) {
    findings.put(seed, finding);
    if (finding.kind() != Kind.LISTENER) {
      replies.remove(seed);
    }
  }

  void replied(String seed, Door.Reply reply) {
    if (findings.containsKey(seed)) {
      replies.put(seed, reply);
    }
  }

  /**
   * Whether the newcomer is to begin the run: it is the first, and none of the others knows of a
   * run. One that listens and is silent may know of it: then nobody begins a second one.
   */
  boolean mayForm() {
    return first
        && findings.entrySet().stream()
            .allMatch(
                entry ->
                    entry.getValue().kind() == Kind.NOBODY
                        || replies.get(entry.getKey()) instanceof Door.NotYet);
  }

  /** Whether there is nobody to wait for. */
  boolean isAlone() {
    return findings.isEmpty();
  }

  /** A seed that is no node of this run whatever happens, with the reason. */
  Optional<String> stranger() {
    return findings.entrySet().stream()
        .filter(entry -> entry.getValue().kind() == Kind.STRANGER)
        .findFirst()
        .map(entry -> entry.getKey() + " " + entry.getValue().why());
  }

  /** A refusal that might have passed and has not. */
  Optional<Door.Refused> refusal() {
    return replies.values().stream()
        .filter(Door.Refused.class::isInstance)
        .map(Door.Refused.class::cast)
        .findFirst();
  }

  /** What each says, for people. */
  String told() {
    return findings.entrySet().stream()
        .map(entry -> entry.getKey() + " " + told(entry.getKey(), entry.getValue()))
        .collect(Collectors.joining("; "));
  }

  private String told(String seed, Finding finding) {
    return switch (replies.get(seed)) {
      case Door.NotYet notYet -> notYet.why();
      case Door.Refused refused -> refused.message();
      case null, default ->
          finding.kind() == Kind.LISTENER
              ? "listens, but no node of that very name answers"
              : finding.why();
    };
  }

  @Override
  public String toString() {
    return "self=" + self + " first=" + first + " " + told();
  }
}

package troupe.coordinator.doctor;

import java.util.List;

/**
 * What was found out about one part of the machine.
 *
 * @param name one word
 * @param advice what is missing or tight and how to get it, one line each; empty if all is well
 */
public record Section(String name, List<Fact> facts, List<String> advice) {
  public Section {
    facts = List.copyOf(facts);
    advice = List.copyOf(advice);
  }
}

package troupe.coordinator.chaos;

import com.google.gson.JsonObject;

/** Something that an onlooker saw of a run, and when; milliseconds of one clock. */
sealed interface Observation {
  /** When it was seen. */
  long atMs();

  /** A step is committed, for the first time or again. */
  record Committed(long step, long atMs) implements Observation {}

  /**
   * A line of events.jsonl.
   *
   * @param name such as {@code epoch_began}
   */
  record Happened(String name, JsonObject fields, long atMs) implements Observation {}
}

package troupe.coordinator.lab;

import com.google.gson.JsonObject;
import java.util.List;
import java.util.Map;

/**
 * What an experiment found, as people read it.
 *
 * @param subtitle what was done, in a sentence or two
 * @param config all keys and values, in the order to show
 * @param json the numbers behind it
 */
record Findings(
    String title,
    String subtitle,
    List<Tile> tiles,
    List<Section> sections,
    Map<String, String> config,
    JsonObject json) {
  /** One number that stands out. */
  record Tile(String label, String value, String note) {}

  /**
   * A part of the page.
   *
   * @param note how to read it
   * @param table may be {@code null}
   */
  record Section(String heading, String note, Table table, List<Chart> charts) {
    Section {
      charts = List.copyOf(charts);
    }
  }

  Findings {
    tiles = List.copyOf(tiles);
    sections = List.copyOf(sections);
  }
}

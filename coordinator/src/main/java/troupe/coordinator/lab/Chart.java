package troupe.coordinator.lab;

import java.util.List;

/**
 * A chart, for the page and for a drawing.
 *
 * @param id names the element of the page and the file of the drawing
 * @param dots whether each series is a row of dots rather than a curve
 */
record Chart(
    String id, String title, String note, Axis x, Axis y, boolean dots, List<Series> series) {
  /**
   * An axis.
   *
   * @param log whether factors rather than differences are equally long
   */
  record Axis(String name, boolean log) {
    static Axis linear(String name) {
      return new Axis(name, false);
    }

    static Axis log(String name) {
      return new Axis(name, true);
    }
  }

  Chart {
    series = List.copyOf(series);
  }

  static Chart lines(String id, String title, String note, Axis x, Axis y, List<Series> series) {
    return new Chart(id, title, note, x, y, false, series);
  }

  static Chart dots(String id, String title, String note, Axis y, List<Series> series) {
    return new Chart(id, title, note, Axis.linear(""), y, true, series);
  }
}

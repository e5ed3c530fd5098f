package troupe.coordinator.lab;

import java.util.ArrayList;
import java.util.List;
import troupe.coordinator.metrics.Page;

/** A table for the terminal, for the page and for the documentation. */
record Table(List<String> columns, List<List<String>> rows) {
  Table {
    columns = List.copyOf(columns);
    rows = rows.stream().map(List::copyOf).toList();
    for (List<String> row : rows) {
      if (row.size() != columns.size()) {
        throw new IllegalArgumentException("row: " + row + " (expected: " + columns + ")");
      }
    }
  }

  /** Columns as wide as their widest cell, the first to the left, numbers to the right. */
  String text() {
    int[] width = new int[columns.size()];
    for (List<String> line : lines()) {
      for (int c = 0; c < width.length; c++) {
        width[c] = Math.max(width[c], line.get(c).length());
      }
    }
    StringBuilder text = new StringBuilder();
    for (List<String> line : lines()) {
      StringBuilder row = new StringBuilder();
      for (int c = 0; c < width.length; c++) {
        String gap = " ".repeat(width[c] - line.get(c).length());
        row.append(c == 0 ? line.get(c) + gap : "  " + gap + line.get(c));
      }
      text.append(row.toString().stripTrailing()).append('\n');
    }
    return text.toString();
  }

  /** As Markdown has tables. */
  String markdown() {
    StringBuilder text = new StringBuilder();
    appendMarkdown(text, columns);
    text.append("|---").append("|--:".repeat(columns.size() - 1)).append("|\n");
    rows.forEach(row -> appendMarkdown(text, row));
    return text.toString();
  }

  private static void appendMarkdown(StringBuilder text, List<String> cells) {
    cells.forEach(cell -> text.append("| ").append(cell.replace("|", "\\|")).append(' '));
    text.append("|\n");
  }

  /** As HTML has tables. */
  String html() {
    StringBuilder html = new StringBuilder("<table class=\"lab\">\n<thead><tr>");
    columns.forEach(
        column -> html.append("<th scope=\"col\">").append(Page.escape(column)).append("</th>"));
    html.append("</tr></thead>\n<tbody>\n");
    for (List<String> row : rows) {
      html.append("<tr><th scope=\"row\">").append(Page.escape(row.getFirst())).append("</th>");
      row.stream()
          .skip(1)
          .forEach(cell -> html.append("<td>").append(Page.escape(cell)).append("</td>"));
      html.append("</tr>\n");
    }
    return html.append("</tbody></table>\n").toString();
  }

  private List<List<String>> lines() {
    List<List<String>> lines = new ArrayList<>();
    lines.add(columns);
    lines.addAll(rows);
    return lines;
  }
}

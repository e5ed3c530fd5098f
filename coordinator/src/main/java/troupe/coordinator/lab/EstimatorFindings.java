package troupe.coordinator.lab;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import troupe.core.config.LabConfig.LabEstimators;
import troupe.core.config.RunConfig;

/** Estimators as tables and charts. */
final class EstimatorFindings {
  private static final Map<String, String> HEADINGS =
      Map.of(
          "quadratic", "Quadratic loss",
          "cubic", "Cubic loss",
          "softplus", "Softplus loss",
          "layer", "A layer of experts under a classifier");
  private static final Map<String, String> NOTES =
      Map.of(
          "quadratic",
          "One expert a token, outputs fixed, gradient by the logits. The mid-point rule (2nd) is exact"
              + " here; published variants take the best expert at full scale and are not.",
          "cubic",
          "As above with a third-order term, for which rules of one point are off.",
          "softplus",
          "As above with a loss that no finite rule integrates exactly.",
          "layer",
          "Router, experts of two layers, cross entropy of a linear classifier on the residual stream;"
              + " gradient by the router's weights, the sum over tokens.");

  private final RunConfig config;
  private final LabEstimators lab;
  private final EstimatorLab.Result result;

  private EstimatorFindings(RunConfig config, EstimatorLab.Result result) {
    this.config = config;
    this.lab = config.lab().estimators();
    this.result = result;
  }

  static Findings of(RunConfig config, EstimatorLab.Result result, Map<String, String> values) {
    return new EstimatorFindings(config, result).findings(values);
  }

  private Findings findings(Map<String, String> values) {
    List<Findings.Section> sections = new ArrayList<>();
    for (Problem.Kind kind : Problem.Kind.values()) {
      String problem = EstimatorLab.name(kind);
      sections.add(
          new Findings.Section(
              HEADINGS.get(problem),
              NOTES.get(problem)
                  + format(" Table: %d experts, jitter %s.", lab.baseExperts(), lab.baseJitter()),
              table(problem),
              charts(problem)));
    }
    sections.add(cost());
    return new Findings(
        "Gradient estimators",
        format(
            "Estimates through the real gates, mean of %,d draws, against the gradient of the expected"
                + " loss by enumeration over experts; %d x %d tokens. Bias and cosine \"own\" are"
                + " relative to the objective under the gate's own mask, \"whole\" to that over all"
                + " experts.",
            lab.samples(), config.lab().seeds(), lab.tokens()),
        List.of(
            new Findings.Tile("Estimators", String.valueOf(lab.gates().size()), "the real gates"),
            new Findings.Tile(
                "Points measured",
                String.valueOf(result.measurements().size()),
                "gate, problem, N, jitter"),
            new Findings.Tile(
                "Draws",
                format("%,d", lab.samples() * config.lab().seeds()),
                "of every token at every point")),
        sections,
        values,
        result.json());
  }

  private Table table(String problem) {
    List<List<String>> rows = new ArrayList<>();
    for (String gate : gates()) {
      for (Measurement m : EstimatorLab.overExperts(result, lab, gate, problem)) {
        if (m.experts() == lab.baseExperts()) {
          rows.add(
              List.of(
                  gate,
                  format("%.2f", m.evaluations()),
                  format("%.0f %%", 100 * m.alive()),
                  number(m.scale()),
                  number(m.ownBias()),
                  number(m.ownCosine()),
                  number(m.wholeCosine()),
                  number(m.variance()),
                  number(m.drawCosine()),
                  number(m.resolution())));
        }
      }
    }
    return new Table(
        List.of(
            "estimator",
            "experts a token",
            "alive",
            "scale",
            "bias, own",
            "cosine, own",
            "cosine, whole",
            "variance",
            "cosine of a draw",
            "resolution"),
        rows);
  }

  private List<Chart> charts(String problem) {
    Chart.Axis n = Chart.Axis.log("experts N");
    Chart.Axis r = Chart.Axis.linear("jitter r");
    String atJitter = format("by N, jitter %s", lab.baseJitter());
    String atExperts = format("by jitter, N = %d", lab.baseExperts());
    return List.of(
        chart(problem, "bias-n", "Bias", atJitter, n, "|E g - own| / |own|", Measurement::ownBias),
        chart(problem, "bias-r", "Bias", atExperts, r, "|E g - own| / |own|", Measurement::ownBias),
        chart(
            problem,
            "cosine-n",
            "Cosine to the whole gradient",
            atJitter,
            n,
            "cosine of E g",
            Measurement::wholeCosine),
        chart(
            problem,
            "cosine-r",
            "Cosine to the whole gradient",
            atExperts,
            r,
            "cosine of E g",
            Measurement::wholeCosine),
        chart(
            problem,
            "variance-n",
            "Variance",
            atJitter,
            n,
            "E |g - E g|^2 / |whole|^2",
            Measurement::variance),
        chart(
            problem,
            "variance-r",
            "Variance",
            atExperts,
            r,
            "E |g - E g|^2 / |whole|^2",
            Measurement::variance));
  }

  private Chart chart(
      String problem,
      String id,
      String title,
      String note,
      Chart.Axis x,
      String y,
      ToDoubleFunction<Measurement> value) {
    List<Series> series = new ArrayList<>();
    for (String gate : gates()) {
      List<Measurement> along =
          x.log()
              ? EstimatorLab.overExperts(result, lab, gate, problem)
              : EstimatorLab.overJitters(result, lab, gate, problem);
      if (along.size() > 1) {
        series.add(
            Series.of(
                gate,
                along.stream().mapToDouble(m -> x.log() ? m.experts() : m.jitter()).toArray(),
                along.stream().mapToDouble(value).toArray()));
      }
    }
    boolean log = id.startsWith("variance");
    return Chart.lines(problem + "-" + id, title, note, x, new Chart.Axis(y, log), series);
  }

  private Findings.Section cost() {
    List<Series> nanos = new ArrayList<>();
    List<Series> evaluations = new ArrayList<>();
    for (String gate : gates()) {
      List<EstimatorLab.Cost> costs =
          result.costs().stream().filter(cost -> cost.gate().equals(gate)).toList();
      nanos.add(
          Series.of(
              gate,
              costs.stream().mapToDouble(EstimatorLab.Cost::experts).toArray(),
              costs.stream().mapToDouble(EstimatorLab.Cost::nanosPerToken).toArray()));
      List<Measurement> along = EstimatorLab.overExperts(result, lab, gate, "quadratic");
      evaluations.add(
          Series.of(
              gate,
              along.stream().mapToDouble(Measurement::experts).toArray(),
              along.stream().mapToDouble(Measurement::evaluations).toArray()));
    }
    return new Findings.Section(
        "Cost",
        "Experts that a token is sent to, and time of the gate itself on one core of this machine, in"
            + " double precision, forward and backward, without experts: median of seven rounds.",
        costTable(),
        List.of(
            Chart.lines(
                "cost-evaluations",
                "Expert evaluations a token",
                "by N",
                Chart.Axis.log("experts N"),
                Chart.Axis.log("experts a token"),
                evaluations),
            Chart.lines(
                "cost-ns",
                "Time of the gate",
                "by N",
                Chart.Axis.log("experts N"),
                Chart.Axis.log("ns a token"),
                nanos)));
  }

  private Table costTable() {
    List<String> columns = new ArrayList<>(List.of("ns a token"));
    lab.experts().forEach(n -> columns.add("N = " + n));
    List<List<String>> rows = new ArrayList<>();
    for (String gate : gates()) {
      List<String> row = new ArrayList<>(List.of(gate));
      for (int n : lab.experts()) {
        row.add(
            result.costs().stream()
                .filter(cost -> cost.gate().equals(gate) && cost.experts() == n)
                .map(cost -> format("%.0f", cost.nanosPerToken()))
                .findFirst()
                .orElse("-"));
      }
      rows.add(row);
    }
    return new Table(columns, rows);
  }

  private List<String> gates() {
    return Arm.parse("lab.estimators.gates", lab.gates()).stream().map(Arm::name).toList();
  }

  /** Three digits, whatever the size. */
  static String number(double value) {
    if (!Double.isFinite(value)) {
      return "-";
    }
    double size = Math.abs(value);
    return size != 0 && size < 0.001
        ? format("%.0e", value)
        : format(size < 10 ? "%.3f" : size < 100 ? "%.1f" : "%.0f", value);
  }

  private static String format(String pattern, Object... values) {
    return String.format(Locale.ROOT, pattern, values);
  }
}

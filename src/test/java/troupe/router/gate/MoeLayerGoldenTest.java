package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static troupe.router.gate.GoldenTolerance.assertGolden;

import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import troupe.Golden;

/**
 * A whole layer in plain loops around the gate: linear router with bias, dispatch, ReLU experts,
 * combine with omega, balance loss. Loss: {@code sum(y * grad_y) + alpha * balance}.
 */
@Tag("golden")
class MoeLayerGoldenTest {
  static Stream<Golden> cases() {
    return Golden.cases("moe_layer");
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldMatchForwardAndEveryGradient(Golden golden) {
    int tokens = golden.integer("num_tokens");
    int experts = golden.integer("num_experts");
    int width = golden.integer("embed_dim");
    int hidden = golden.integer("hidden_dim");
    double alpha = golden.number("balance_alpha");
    double[] x_TD = golden.doubles("x");
    double[] routerW_ED = golden.doubles("router_w");
    double[] w1_EFD = golden.doubles("w1");
    double[] b1_EF = golden.doubles("b1");
    double[] w2_EDF = golden.doubles("w2");
    double[] b2_ED = golden.doubles("b2");
    double[] g_TD = golden.doubles("grad_y");
    boolean omega = golden.has("omega");
    double[] omega_D = omega ? golden.doubles("omega") : new double[width];
    if (!omega) {
      Arrays.fill(omega_D, 1);
    }

    double[] logits_TE = new double[tokens * experts];
    for (int t = 0; t < tokens; t++) {
      affine(
          logits_TE,
          t * experts,
          routerW_ED,
          golden.doubles("router_b"),
          0,
          x_TD,
          t * width,
          experts,
          width);
    }
    Gate gate = Configs.authors(golden.text("router"), golden.number("jitter_eps"));
    Routing routing =
        gate.route(logits_TE, tokens, experts, RecordedDraws.of(golden), golden.flag("training"));
    DispatchPlan plan = DispatchPlan.of(routing);

    double[] pre_TF = new double[tokens * hidden];
    double[] f_TD = new double[tokens * width];
    for (int row = 0; row < plan.rows(); row++) {
      int t = plan.tokenOfRow_R()[row];
      int e = expertOfRow(plan, row);
      affine(pre_TF, t * hidden, w1_EFD, b1_EF, e, x_TD, t * width, hidden, width);
      affine(f_TD, t * width, w2_EDF, b2_ED, e, relu(pre_TF), t * hidden, width, hidden);
    }
    Combine combine = Combine.of(routing.multiplier_S(), omega_D, f_TD, g_TD);

    long[] routed_E = Arrays.stream(plan.routed_E()).asLongStream().toArray();
    double[] fraction_E = BalanceLoss.fraction(routed_E, tokens, BalanceLoss.AUTHORS_EPSILON);
    double balance = BalanceLoss.value(fraction_E, Load.sumP(routing), tokens);
    double loss = alpha * balance;
    for (int i = 0; i < g_TD.length; i++) {
      loss += combine.y_TD()[i] * g_TD[i];
    }

    assertGolden(golden, "logits", logits_TE);
    assertArrayEquals(golden.ints("sample"), routing.expert_S());
    assertArrayEquals(golden.ints("tokens_per_expert"), plan.routed_E());
    assertGolden(golden, "multiplier", multiplier(routing, omega ? omega_D : new double[] {1}));
    assertGolden(golden, "y", combine.y_TD());
    assertGolden(golden, "balance_loss", balance);
    assertGolden(golden, "loss", loss);

    double[] dLogits_TE = new double[logits_TE.length];
    routing.backward(dLogits_TE, combine.s_T());
    BalanceLoss.addGradient(dLogits_TE, routing, fraction_E, alpha, tokens);
    double[] dX_TD = new double[x_TD.length];
    double[] dRouterW_ED = new double[routerW_ED.length];
    double[] dRouterB_E = new double[experts];
    for (int t = 0; t < tokens; t++) {
      affineBackward(
          dX_TD,
          t * width,
          dRouterW_ED,
          dRouterB_E,
          routerW_ED,
          0,
          dLogits_TE,
          t * experts,
          x_TD,
          experts,
          width);
    }
    double[] dW1_EFD = new double[w1_EFD.length];
    double[] dB1_EF = new double[b1_EF.length];
    double[] dW2_EDF = new double[w2_EDF.length];
    double[] dB2_ED = new double[b2_ED.length];
    double[] dHidden_TF = new double[pre_TF.length];
    for (int row = 0; row < plan.rows(); row++) {
      int t = plan.tokenOfRow_R()[row];
      int e = expertOfRow(plan, row);
      affineBackward(
          dHidden_TF,
          t * hidden,
          dW2_EDF,
          dB2_ED,
          w2_EDF,
          e,
          combine.dF_TD(),
          t * width,
          relu(pre_TF),
          width,
          hidden);
      for (int i = t * hidden; i < (t + 1) * hidden; i++) {
        dHidden_TF[i] = pre_TF[i] > 0 ? dHidden_TF[i] : 0;
      }
      affineBackward(
          dX_TD,
          t * width,
          dW1_EFD,
          dB1_EF,
          w1_EFD,
          e,
          dHidden_TF,
          t * hidden,
          x_TD,
          hidden,
          width);
    }

    Golden grads = golden.child("grads");
    assertGolden(grads, "x", dX_TD);
    assertGolden(grads, "router_w", dRouterW_ED);
    assertGolden(grads, "router_b", dRouterB_E);
    assertGolden(grads, "w1", dW1_EFD);
    assertGolden(grads, "b1", dB1_EF);
    assertGolden(grads, "w2", dW2_EDF);
    assertGolden(grads, "b2", dB2_ED);
    if (omega) {
      assertGolden(grads, "omega", combine.dOmega_D());
    }
  }

  private static int expertOfRow(DispatchPlan plan, int row) {
    int e = 0;
    while (row >= plan.offset_E1()[e + 1]) {
      e++;
    }
    return e;
  }

  private static double[] multiplier(Routing routing, double[] omega_D) {
    double[] multiplier_TD = new double[routing.tokens() * omega_D.length];
    for (int i = 0; i < multiplier_TD.length; i++) {
      multiplier_TD[i] = routing.multiplier_S()[i / omega_D.length] * omega_D[i % omega_D.length];
    }
    return multiplier_TD;
  }

  private static double[] relu(double[] x) {
    return Arrays.stream(x).map(v -> Math.max(v, 0)).toArray();
  }

  /**
   * {@code out = W_block x + b_block}, block being one of the stacked matrices {@code rows *
   * columns}.
   */
  private static void affine(
      double[] out,
      int to,
      double[] w,
      double[] b,
      int block,
      double[] x,
      int from,
      int rows,
      int columns) {
    for (int r = 0; r < rows; r++) {
      double sum = b[block * rows + r];
      for (int c = 0; c < columns; c++) {
        sum += w[(block * rows + r) * columns + c] * x[from + c];
      }
      out[to + r] = sum;
    }
  }

  /** {@code dX += W^T dOut, dW += dOut x^T, dB += dOut}; x is laid out as dX. */
  private static void affineBackward(
      double[] dX,
      int xFrom,
      double[] dW,
      double[] dB,
      double[] w,
      int block,
      double[] dOut,
      int outFrom,
      double[] x,
      int rows,
      int columns) {
    for (int r = 0; r < rows; r++) {
      double d = dOut[outFrom + r];
      dB[block * rows + r] += d;
      for (int c = 0; c < columns; c++) {
        int i = (block * rows + r) * columns + c;
        dX[xFrom + c] += d * w[i];
        dW[i] += d * x[xFrom + c];
      }
    }
  }
}

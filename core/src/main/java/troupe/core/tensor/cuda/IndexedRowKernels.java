package troupe.core.tensor.cuda;

import static troupe.core.tensor.cuda.Operands.bf16;
import static troupe.core.tensor.cuda.Operands.in;
import static troupe.core.tensor.cuda.Operands.out;

import troupe.core.tensor.Tensor;

/** Kernels of {@code dense.cu} that are told by an index which rows go where. */
interface IndexedRowKernels extends KernelPart {
  @Override
  default void embeddingForward(
      Tensor out_TD, int[] tokens_T, Tensor tok_VD, Tensor pos_SD, int seq) {
    bf16("out_TD", out_TD);
    if (tokens_T.length > 0) {
      try (Scratch tokens = device().transfers().upload(tokens_T)) {
        launch(
            "embedding_forward",
            Grid.line(Math.ceilDiv(tokens_T.length, 8), 256),
            out(out_TD),
            tokens,
            in(tok_VD),
            in(pos_SD),
            tokens_T.length,
            out_TD.columns(),
            seq);
      }
    }
  }

  @Override
  default void embeddingBackward(
      Tensor dTok_VD, Tensor dPos_SD, Tensor dOut_TD, int[] tokens_T, int seq) {
    bf16("dOut_TD", dOut_TD);
    int d = dOut_TD.columns();
    if (tokens_T.length == 0) {
      return;
    }
    int strips = Math.min(Math.ceilDiv(d, 256), 1024);
    try (RowGroups groups = new RowGroups(device(), tokens_T, dTok_VD.rows())) {
      launch(
          "embedding_backward_tokens",
          Grid.plane(Math.ceilDiv(groups.count(), 16 * strips), strips, 512),
          out(dTok_VD),
          in(dOut_TD),
          groups.target(),
          groups.start(),
          groups.order(),
          groups.count(),
          d);
    }
    int whole = tokens_T.length / seq;
    positions(dPos_SD, dOut_TD, 0, whole, seq, d);
    // A last sequence that is shorter than the others.
    positions(dPos_SD, dOut_TD, whole * seq, 1, tokens_T.length - whole * seq, d);
  }

  private void positions(Tensor dPos_SD, Tensor dOut_TD, int from, int batch, int seq, int d) {
    if (batch > 0 && seq > 0) {
      launch(
          "embedding_backward_positions",
          Grid.plane(Math.ceilDiv(seq, 8), Math.ceilDiv(d, 128), 256),
          out(dPos_SD),
          in(dOut_TD.rows(from, batch * seq)),
          batch,
          seq,
          d);
    }
  }

  @Override
  default void gatherRows(Tensor out_RD, Tensor in_TD, int[] tokenOfRow_R) {
    bf16("out_RD", out_RD);
    bf16("in_TD", in_TD);
    if (tokenOfRow_R.length > 0) {
      try (Scratch rowOf = device().transfers().upload(tokenOfRow_R)) {
        launch(
            "gather_rows_bf16",
            Grid.line(Math.ceilDiv(tokenOfRow_R.length, 8), 256),
            out(out_RD),
            in(in_TD),
            rowOf,
            tokenOfRow_R.length,
            in_TD.columns());
      }
    }
  }

  @Override
  default void scatterAddRows(Tensor out_TD, Tensor in_RD, int[] tokenOfRow_R) {
    bf16("out_TD", out_TD);
    bf16("in_RD", in_RD);
    if (tokenOfRow_R.length > 0) {
      try (RowGroups groups = new RowGroups(device(), tokenOfRow_R, out_TD.rows())) {
        launch(
            "scatter_add_rows_bf16",
            Grid.line(Math.ceilDiv(groups.count(), 8), 256),
            out(out_TD),
            in(in_RD),
            groups.order(),
            groups.start(),
            groups.target(),
            groups.count(),
            out_TD.columns());
      }
    }
  }

  @Override
  default void combineForward(
      Tensor x_TD, Tensor y_RD, int[] tokenOfRow_R, double[] multiplier_R, Tensor omega_1D) {
    bf16("x_TD", x_TD);
    bf16("y_RD", y_RD);
    if (tokenOfRow_R.length > 0) {
      try (Scratch multiplier = device().transfers().uploadFloats(multiplier_R);
          RowGroups groups = new RowGroups(device(), tokenOfRow_R, x_TD.rows())) {
        launch(
            "combine_forward",
            Grid.line(Math.ceilDiv(groups.count(), 8), 256),
            out(x_TD),
            in(y_RD),
            multiplier,
            in(omega_1D),
            groups.order(),
            groups.start(),
            groups.target(),
            groups.count(),
            x_TD.columns());
      }
    }
  }

  @Override
  default void combineBackward(
      Tensor dY_RD,
      Tensor s_R1,
      Tensor dOmega_1D,
      Tensor dX_TD,
      Tensor y_RD,
      int[] tokenOfRow_R,
      double[] multiplier_R,
      Tensor omega_1D) {
    bf16("dY_RD", dY_RD);
    bf16("dX_TD", dX_TD);
    int rows = tokenOfRow_R.length;
    int d = dX_TD.columns();
    if (rows == 0) {
      return;
    }
    int parts = Math.min(Math.ceilDiv(rows, 16), 528);
    try (Scratch tokenOfRow = device().transfers().upload(tokenOfRow_R);
        Scratch multiplier = device().transfers().uploadFloats(multiplier_R);
        Tensor partial = omega_1D == null ? null : device().allocate(parts, d)) {
      launch(
          "combine_backward",
          Grid.line(parts, 256),
          out(dY_RD),
          out(s_R1),
          out(partial),
          in(dX_TD),
          in(y_RD),
          tokenOfRow,
          multiplier,
          in(omega_1D),
          rows,
          d,
          parts);
      if (partial != null) {
        RowSums.add(device(), dOmega_1D, in(partial), parts, d, true);
      }
    }
  }
}

package troupe.core.tensor.check;

import troupe.core.tensor.Tensor;

/** Kernels of rows: norms, biases, losses, embeddings. */
final class RowCases {
  private RowCases() {}

  static void rows(CaseTable table, int rows, int columns) {
    String shape = " " + rows + " x " + columns;
    table.add(
        "addBias" + shape,
        run -> {
          Tensor x = run.normal(rows, columns);
          run.kernels().addBias(x, run.exactNormal(1, columns));
          run.keep(x);
        });
    table.add(
        "sumRows" + shape,
        run -> {
          Tensor out = run.exactNormal(1, columns);
          run.kernels().sumRows(out, run.normal(rows, columns));
          run.keep(out);
        });
    table.add(
        "layerNormForward" + shape,
        run -> {
          Tensor out = run.output(rows, columns);
          Tensor mean = run.exactOutput(rows, 1);
          Tensor rstd = run.exactOutput(rows, 1);
          run.kernels()
              .layerNormForward(
                  out,
                  mean,
                  rstd,
                  run.normal(rows, columns),
                  run.exactNormal(1, columns),
                  run.exactNormal(1, columns),
                  1e-5);
          run.keep(out, mean, rstd);
        });
    table.add(
        "layerNormBackward" + shape,
        run -> {
          Tensor dX = run.normal(rows, columns);
          Tensor dGain = run.exactNormal(1, columns);
          Tensor dBias = run.exactNormal(1, columns);
          run.kernels()
              .layerNormBackward(
                  dX,
                  dGain,
                  dBias,
                  run.normal(rows, columns),
                  run.normal(rows, columns),
                  run.exactUniform(rows, 1),
                  run.exactUniform(rows, 1),
                  run.exactNormal(1, columns));
          run.keep(dX, dGain, dBias);
        });
    table.add(
        "crossEntropy" + shape,
        run -> {
          Tensor losses = run.exactOutput(rows, 1);
          Tensor dLogits = run.output(rows, columns);
          Tensor logits = run.normal(rows, columns);
          run.kernels().scale(logits, 4);
          int[] targets = run.indices(rows, columns);
          run.kernels().crossEntropy(losses, dLogits, logits, targets, 0.125);
          Tensor lossesAlone = run.exactOutput(rows, 1);
          run.kernels().crossEntropy(lossesAlone, null, logits, targets, 0.125);
          Tensor lossesInPlace = run.exactOutput(rows, 1);
          run.kernels().crossEntropy(lossesInPlace, logits, logits, targets, 0.125);
          run.keep(losses, dLogits, lossesAlone, lossesInPlace, logits);
        });
    int seq = Math.max(1, rows / 3);
    table.add(
        "embeddingForward" + shape,
        run -> {
          Tensor out = run.output(rows, columns);
          run.kernels()
              .embeddingForward(
                  out,
                  run.indices(rows, 11),
                  run.exactNormal(11, columns),
                  run.exactNormal(seq + 2, columns),
                  seq);
          run.keep(out);
        });
    table.add(
        "embeddingBackward" + shape,
        run -> {
          Tensor dTok = run.exactNormal(11, columns);
          Tensor dPos = run.exactNormal(seq + 2, columns);
          run.kernels()
              .embeddingBackward(dTok, dPos, run.normal(rows, columns), run.indices(rows, 11), seq);
          run.keep(dTok, dPos);
        });
  }

  /** As in a text: a few tokens own most of the rows, most others a row or none. */
  static void commonTokens(CaseTable table) {
    int seq = 64;
    int[] tokens = new int[3 * seq + 5];
    for (int i = 0; i < tokens.length; i++) {
      tokens[i] = i % 4 == 0 ? 40 : i % 4 == 1 ? i % 97 : 0;
    }
    for (int columns : new int[] {1, 37, 264, 1024}) {
      table.add(
          "embedding of common tokens " + tokens.length + " x " + columns,
          run -> {
            Tensor tok = run.exactNormal(97, columns);
            Tensor pos = run.exactNormal(seq, columns);
            Tensor out = run.output(tokens.length, columns);
            run.kernels().embeddingForward(out, tokens, tok, pos, seq);
            Tensor dOut = run.normal(tokens.length, columns);
            run.kernels().embeddingBackward(tok, pos, dOut, tokens, seq);
            run.keep(out, tok, pos);
          });
    }
  }
}

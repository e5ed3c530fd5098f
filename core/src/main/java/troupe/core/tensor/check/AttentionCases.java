package troupe.core.tensor.check;

import troupe.core.tensor.Tensor;

/** Causal attention. */
final class AttentionCases {
  private AttentionCases() {}

  static void attention(CaseTable table) {
    int[][] sizes = { // batch, seq, heads, width of a head
      {1, 0, 2, 3},
      {1, 1, 1, 1},
      {2, 1, 2, 4},
      {2, 7, 3, 5},
      {1, 64, 2, 8},
      {2, 65, 2, 7},
      {1, 130, 1, 16},
      {2, 37, 3, 64},
      {1, 129, 2, 128},
      {1, 65, 1, 100}
    };
    for (int[] size : sizes) {
      int batch = size[0];
      int seq = size[1];
      int heads = size[2];
      int tokens = batch * seq;
      int width = heads * size[3];
      table.add(
          "attention batch " + batch + " seq " + seq + " heads " + heads + " x " + size[3],
          run -> {
            Tensor out = run.output(tokens, width);
            Tensor saved = run.own(run.kernels().allocateAttentionSaved(batch, seq, heads));
            Tensor qkv = run.normal(tokens, 3 * width);
            run.kernels().attentionForward(out, saved, qkv, batch, heads);
            Tensor dQkv = run.output(tokens, 3 * width);
            Tensor dOut = run.normal(tokens, width);
            run.kernels().attentionBackward(dQkv, dOut, qkv, out, saved, batch, heads);
            run.keep(out, dQkv);
          });
    }
  }
}

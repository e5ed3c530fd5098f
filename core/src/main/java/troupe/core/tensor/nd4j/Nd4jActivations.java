package troupe.core.tensor.nd4j;

import static org.nd4j.linalg.indexing.NDArrayIndex.all;
import static org.nd4j.linalg.indexing.NDArrayIndex.interval;

import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.ops.transforms.Transforms;
import troupe.core.tensor.Activation;

/**
 * Activations and their derivatives. GELU is {@code x s(2u)} with the logistic function s: 0.5 (1 +
 * tanh u) = s(2u).
 */
final class Nd4jActivations {
  // 2u = x (LINEAR + CUBIC x^2)
  private static final double LINEAR = 2 * Math.sqrt(2 / Math.PI);
  private static final double CUBIC = LINEAR * 0.044715;

  private Nd4jActivations() {}

  static void forward(INDArray out, INDArray pre, Activation activation) {
    switch (activation) {
      case GELU -> pre.muli(geluGate(pre), out);
      case RELU -> out.assign(Transforms.relu(pre, true));
      case SWIGLU -> {
        INDArray a = half(pre, 0);
        out.assign(Transforms.sigmoid(a, true).muli(a).muli(half(pre, 1)));
      }
    }
  }

  static void backward(INDArray dPre, INDArray dOut, INDArray pre, Activation activation) {
    switch (activation) {
      case GELU -> {
        INDArray gate = geluGate(pre);
        INDArray inner = pre.mul(pre).muli(3 * CUBIC).addi(LINEAR).muli(pre);
        dOut.muli(inner.muli(gate.rsub(1)).addi(1).muli(gate), dPre);
      }
      case RELU -> dOut.muli(pre.gt(0).castTo(DataType.FLOAT), dPre);
      case SWIGLU -> {
        INDArray a = half(pre, 0);
        INDArray gate = Transforms.sigmoid(a, true);
        INDArray slope = gate.rsub(1).muli(a).addi(1).muli(gate);
        INDArray dA = slope.muli(half(pre, 1)).muli(dOut);
        half(dPre, 1).assign(gate.muli(a).muli(dOut));
        half(dPre, 0).assign(dA);
      }
    }
  }

  private static INDArray geluGate(INDArray x) {
    return Transforms.sigmoid(x.mul(x).muli(CUBIC).addi(LINEAR).muli(x), false);
  }

  private static INDArray half(INDArray pre, int which) {
    long width = pre.columns() / 2;
    return pre.get(all(), interval(which * width, (which + 1) * width));
  }
}

package troupe.core.tensor.cpu;

import static troupe.core.tensor.cpu.Lanes.STEP;
import static troupe.core.tensor.cpu.Lanes.all;
import static troupe.core.tensor.cpu.Lanes.load;
import static troupe.core.tensor.cpu.Lanes.store;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import troupe.core.tensor.AdamWStep;

/**
 * AdamW (Loshchilov and Hutter, arXiv 1711.05101) in one pass over parameter, moments and gradient.
 */
final class AdamW {
  private AdamW() {}

  static void step(
      long param, long m, long v, long grad, long count, AdamWStep step, double weightDecay) {
    double correction = 1 - StrictMath.pow(step.beta1(), step.step());
    double rootCorrection = Math.sqrt(1 - StrictMath.pow(step.beta2(), step.step()));
    FloatVector gradientScale = all((float) step.gradientScale());
    FloatVector beta1 = all((float) step.beta1());
    FloatVector rest1 = all((float) (1 - step.beta1()));
    FloatVector beta2 = all((float) step.beta2());
    FloatVector rest2 = all((float) (1 - step.beta2()));
    FloatVector decay = all((float) (1 - step.learningRate() * weightDecay));
    FloatVector rootScale = all((float) (1 / rootCorrection));
    FloatVector epsilon = all((float) step.epsilon());
    FloatVector stepSize = all((float) (-step.learningRate() / correction));

    long end = Lanes.wholeBytes(count);
    for (long i = 0; i < end; i += STEP) {
      FloatVector g = load(grad + i).mul(gradientScale);
      FloatVector first = load(m + i).fma(beta1, g.mul(rest1));
      FloatVector second = load(v + i).fma(beta2, g.mul(g).mul(rest2));
      FloatVector denominator = second.sqrt().fma(rootScale, epsilon);
      store(first, m + i);
      store(second, v + i);
      store(first.div(denominator).fma(stepSize, load(param + i).mul(decay)), param + i);
    }
    if (Lanes.hasTail(count)) {
      VectorMask<Float> tail = Lanes.tail(count);
      FloatVector g = load(grad + end, tail).mul(gradientScale);
      FloatVector first = load(m + end, tail).fma(beta1, g.mul(rest1));
      FloatVector second = load(v + end, tail).fma(beta2, g.mul(g).mul(rest2));
      FloatVector denominator = second.sqrt().fma(rootScale, epsilon);
      store(first, m + end, tail);
      store(second, v + end, tail);
      FloatVector decayed = load(param + end, tail).mul(decay);
      store(first.div(denominator).fma(stepSize, decayed), param + end, tail);
    }
  }
}

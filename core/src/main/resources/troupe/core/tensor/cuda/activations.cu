// Activations, for the kernels that pass over memory for them and those that do not.
//
// An activation maps HALVES values, that lie `ff` columns apart in `pre`, to one.

DEVICE float power2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
DEVICE float reciprocal(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
DEVICE float sigmoid(float x) { return reciprocal(1 + power2(-1.4426950408889634f * x)); }

// x/2 (1 + tanh u) = x sigmoid(2u), which has no cancellation where tanh is near -1.
struct Gelu {
  static constexpr int HALVES = 1;
  // 2u = x (LINE + CUBE x^2)
  static constexpr float LINE = 2 * 0.79788456080286536f, CUBE = LINE * 0.044715f, LOG2E = 1.4426950408889634f;

  // The gate is exactly 0 or 1 in float32 long before |x| = 30; beyond it the square would overflow.
  DEVICE float square(float x) { return fminf(x * x, 900.f); }
  DEVICE float gate(float x, float square) {
    return reciprocal(1 + power2(x * (-LOG2E * LINE - LOG2E * CUBE * square)));
  }
  DEVICE float forward(const float* pre) { return pre[0] * gate(pre[0], square(pre[0])); }
  DEVICE void backward(float* d, const float* pre, float dOut) {
    float x = pre[0], xx = square(x), g = gate(x, xx), slope = x * (LINE + 3 * CUBE * xx);
    d[0] = dOut * (g + slope * (1 - g) * g);
  }
};

struct Relu {
  static constexpr int HALVES = 1;
  DEVICE float forward(const float* pre) { return fmaxf(pre[0], 0.f); }
  DEVICE void backward(float* d, const float* pre, float dOut) { d[0] = pre[0] > 0 ? dOut : 0; }
};

struct Swiglu {
  static constexpr int HALVES = 2;
  DEVICE float forward(const float* pre) { return pre[0] * sigmoid(pre[0]) * pre[1]; }
  DEVICE void backward(float* d, const float* pre, float dOut) {
    float gate = sigmoid(pre[0]);
    d[0] = dOut * pre[1] * gate * (1 + pre[0] * (1 - gate));
    d[1] = dOut * pre[0] * gate;
  }
};

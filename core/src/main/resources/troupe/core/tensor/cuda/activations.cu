// Activations, for the kernels that pass over memory for them and those that do not.
//
// An activation maps HALVES values, that lie `ff` columns apart in `pre`, to one, and says its slope by each of them.
// What nobody wants of the two costs nothing.

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

// The result is at most 2^-11 of itself off (PTX ISA).
DEVICE float hyperbolic_tangent(float x) {
  float y;
  asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// x/2 (1 + tanh u), by one operation of the special function units, which do 16 a cycle.
//
// The gate, (1 + tanh u) / 2, may be 2^-12 off, and the result so much of x: a sixteenth of what rounding to bf16 takes
// of a result near x, but not of small ones. At x = -3 it is up to 7e-4 of -0.0036, of which rounding takes 8e-6. The
// slope may be 0.0023 off at |x| = 3 and 0.0076 at 5; rounding it takes 0.0039. Further out more were allowed, and is
// not there only because tanh becomes exactly 1: KernelCases looks as far as |x| = 100.
struct Gelu {
  static constexpr int HALVES = 1;
  // u = x (LINE + CUBE x^2)
  static constexpr float LINE = 0.79788456080286536f, CUBE = LINE * 0.044715f;

  DEVICE float forward(const float* pre, float* slope) {
    // Beyond |x| = 5 the gate is 0 or 1 to a float32, and the square would overflow some day.
    float x = pre[0], square = fminf(x * x, 25.f);
    float gate = fmaf(0.5f, hyperbolic_tangent(x * fmaf(CUBE, square, LINE)), 0.5f);
    // 2 x u', for (1 - tanh^2 u) / 4 = gate (1 - gate)
    float steep = x * fmaf(6 * CUBE, square, 2 * LINE);
    slope[0] = fmaf(steep, fmaf(-gate, gate, gate), gate);
    return x * gate;
  }
};

struct Relu {
  static constexpr int HALVES = 1;
  DEVICE float forward(const float* pre, float* slope) {
    slope[0] = pre[0] > 0 ? 1 : 0;
    return fmaxf(pre[0], 0.f);
  }
};

struct Swiglu {
  static constexpr int HALVES = 2;
  DEVICE float forward(const float* pre, float* slope) {
    float gate = sigmoid(pre[0]), silu = pre[0] * gate;
    slope[0] = pre[1] * gate * (1 + pre[0] * (1 - gate));
    slope[1] = silu;
    return silu * pre[1];
  }
};

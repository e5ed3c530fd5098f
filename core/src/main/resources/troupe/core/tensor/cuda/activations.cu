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
// not there only because tanh becomes exactly 1: KernelCases looks as far as |x| = 100. Beyond 1e18 the square of x
// overflows, and the slope is not a number.
struct Gelu {
  static constexpr int HALVES = 1;
  // u = x (LINE + CUBE x^2)
  static constexpr float LINE = 0.79788456080286536f, CUBE = LINE * 0.044715f;

  // Of x / 2, which is what most of it is in terms of; the slope comes as `scale` times itself plus `offset`, which
  // costs nothing where both are constants.
  DEVICE float of_half(float half, float scale, float offset, float& slope) {
    float square = half * half;
    float t = hyperbolic_tangent(half * fmaf(8 * CUBE, square, 2 * LINE));
    float y = fmaf(half, t, half);
    // gelu' = (1 + t) / 2 + u' x/2 (1 - t^2), of which all but u' is y (1 - t).
    float steep = fmaf(12 * scale * CUBE, square, scale * LINE);
    slope = fmaf(steep, fmaf(-t, y, y), fmaf(scale / 2, t, scale / 2 + offset));
    return y;
  }
  DEVICE float forward(const float* pre, float* slope) { return of_half(0.5f * pre[0], 1, 0, slope[0]); }
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

// ---- Slopes that are kept, a byte each ----
//
// Of slopes of GELU, which are between -0.1290 and 1.1290, and of RELU. A bfloat16 between 128 and 512 is told by its
// lower byte: the other is always KEPT_HIGH. So what is kept is the lower byte of 256 slope + 162, rounded to nearest
// even. Steps of slopes are 1/256 below 94/256 and 1/128 above, where bf16 has 1/256 up to 1 and 1/128 beyond;
// all of them are exact in bf16, and 0, 1/2 and 1 are among them. What is no number becomes one, 1.36.
#define KEPT_SCALE 256.f
#define KEPT_OFFSET 162.f
#define KEPT_HIGH 0x43

// Of four slopes, scaled; the first is in the lowest byte.
DEVICE u32 kept_slopes(float a, float b, float c, float d) { return choose<0x6420>(pack(a, b), pack(c, d)); }

// Two slopes as bf16, exactly: those in bytes 0 and 1, or 2 and 3.
template <int UPPER>
DEVICE u32 slopes_of(u32 kept) {
  u32 scaled = choose<UPPER ? 0x4342 : 0x4140>(kept, KEPT_HIGH), pair;
  // scaled / 256 - 162 / 256
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(pair) : "r"(scaled), "r"(0x3b803b80), "r"(0xbf22bf22));
  return pair;
}

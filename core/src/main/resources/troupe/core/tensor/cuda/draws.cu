// Random draws: those of troupe.router.gate.CounterDraws, the same counters and operations.

#define QUAD 4

#define PURPOSE_EXPONENTIAL 0x80u
#define PURPOSE_COIN 0x90u
#define PURPOSE_SCALE 0xA0u
#define PURPOSE_NOISE 0xB0u
#define PURPOSE_INPUT_NOISE 0xC0u
#define PURPOSE_PRIORITY 0xD0u

struct Draws {
  u64 seed;
  u32 step;
  u32 layer;
  u64 firstToken;
};

DEVICE Words draw_block(const Draws& draws, int token, u32 purpose, u32 group) {
  u64 global = draws.firstToken + (u64)token;
  u32 place = draws.layer << 16 | purpose << 8 | (u32)(global >> 32);
  return philox(draws.seed, (u32)global, draws.step, place, group);
}
// Exact, so that contraction changes nothing.
DEVICE double uniform(u32 word) { return ((double)word + 0.5) * 0x1p-32; }

// The integer behind a draw without index: the draw is this over 2^53.
DEVICE u64 draw_53(const Draws& draws, int token, u32 purpose) {
  Words words = draw_block(draws, token, purpose, 0);
  return ((u64)words.w[0] << 32 | words.w[1]) >> 11;
}
DEVICE double draw_single(const Draws& draws, int token, u32 purpose) {
  return (double)draw_53(draws, token, purpose) * 0x1p-53;
}
// Jitter.factor, operation by operation.
DEVICE double jitter_factor(double r, double epsilon) {
  return __dsub_rn(__dadd_rn(__dmul_rn(__dmul_rn(r, 2.0), epsilon), 1.0), epsilon);
}

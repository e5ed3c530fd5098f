// The gate's side of a mixture-of-experts layer: who goes where, rows out to the experts and back, and the
// gradients of both.
//
//   route, forced                       experts and multipliers of every token
//   count_tiles, scan_tiles, place      rows sorted by expert, those of an expert in token order
//   keep_by_priority                    who stays where an expert is over capacity and places are drawn
//   stats_parts, stats_total            what the losses and the log need
//   gather, combine_layer               rows to the experts, outputs onto the residual stream
//   combine_layer_backward, logits_gradient, dispatch_backward, input_jitter
//
// Decisions are those of troupe.router.gate for the same float32 logits and counters: what decides is computed
// in double precision, in Java's order, by operations that the compiler may not contract. Nothing depends on the
// order in which blocks run: sums have a fixed tree, and atomics act on integers only.
//
// T tokens (at least 1), E experts (1 to 1024), D channels, R rows (R <= T); one expert a token, so _T stands
// where _TK will.
// Kernels of the gate give a token LANES(E) lanes, each of which has experts in groups of four: four is what one
// block of the generator and one 16-byte load hold.
//
//   LANES(E) = the least power of two >= E / 4, at most 32

#define QUAD 4
#define MAX_INDEX 0x7fffffff

enum Kind { SWITCH = 0, SPARSEMIXER = 1 };
enum Mask { MASK_NONE = 0, MASK_CODE = 1, MASK_PAPER = 2 };
enum Scale { FIRST_ORDER = 0, MIDPOINT = 1, BALANCED = 2, INTEGRAL = 3 };

// ---------------------------------------------------------------- draws: troupe.router.gate.CounterDraws, round 0

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

// ---------------------------------------------------------------- a token's lanes

DEVICE int lanes_of(int experts) {
  int lanes = 1;
  while (lanes < WARP && lanes * QUAD < experts) lanes *= 2;
  return lanes;
}
// Sums over the lanes of a token, in each of them.
template <typename X>
DEVICE X lanes_sum(X x, int lanes) {
  for (int o = lanes / 2; o > 0; o >>= 1) x += __shfl_xor_sync(FULL, x, o);
  return x;
}
DEVICE double lanes_max(double x, int lanes) {
  for (int o = lanes / 2; o > 0; o >>= 1) x = fmax(x, __shfl_xor_sync(FULL, x, o));
  return x;
}

// The largest value and where it is, the first place on ties.
struct Best {
  double value;
  int index;
};
DEVICE Best nothing() {
  Best none = {-(double)INF, MAX_INDEX};
  return none;
}
DEVICE void consider(Best& best, double value, int index) {
  if (value > best.value || (value == best.value && index < best.index)) {
    best.value = value;
    best.index = index;
  }
}
DEVICE Best lanes_best(Best best, int lanes) {
  for (int o = lanes / 2; o > 0; o >>= 1) {
    double value = __shfl_xor_sync(FULL, best.value, o);
    int index = __shfl_xor_sync(FULL, best.index, o);
    consider(best, value, index);
  }
  return best;
}

DEVICE bool aligned(const void* address) { return ((u64)address & 15) == 0; }

// Up to four neighbours; `whole` where all four are there and aligned.
DEVICE void load_quad(float* x, const float* from, int count, bool whole) {
  if (whole) {
    float4 four = *(const float4*)from;
    x[0] = four.x;
    x[1] = four.y;
    x[2] = four.z;
    x[3] = four.w;
  } else {
#pragma unroll
    for (int j = 0; j < QUAD; j++) x[j] = j < count ? from[j] : 0;
  }
}
DEVICE void store_quad(float* to, const float* x, int count, bool whole) {
  if (whole) {
    *(float4*)to = make_float4(x[0], x[1], x[2], x[3]);
  } else {
#pragma unroll
    for (int j = 0; j < QUAD; j++) {
      if (j < count) to[j] = x[j];
    }
  }
}
// How many of the four experts from `first` on there are.
DEVICE int quad_count(int first, int experts) { return max(0, min(QUAD, experts - first)); }

// ---------------------------------------------------------------- route

DEVICE bool is_finite(float x) { return (__float_as_uint(x) & 0x7f800000u) != 0x7f800000u; }

DEVICE bool keeps(int maskRule, double logit, double most, double epsilon) {
  double below = __dsub_rn(most, logit);
  if (maskRule == MASK_CODE) {
    double magnitude = fabs(logit);
    // Not <=: 0/0 has to keep.
    return !(__ddiv_rn(below, magnitude > most ? magnitude : most) > __dmul_rn(2.0, epsilon));
  }
  if (maskRule == MASK_PAPER) {
    return below <= __dmul_rn(epsilon, __dadd_rn(fabs(most), fabs(logit)));
  }
  return true;
}

DEVICE double detached_scale(int scaleRule, bool best, const Draws& draws, int token) {
  if (scaleRule == FIRST_ORDER || (scaleRule != MIDPOINT && best)) return 1;
  if (draw_single(draws, token, PURPOSE_COIN) > 0.5) return 1;
  return scaleRule == INTEGRAL ? draw_single(draws, token, PURPOSE_SCALE) : 0.5;
}

// The logits of four experts as the gate uses them. One that is not finite stands as zero: it is reported, and
// what follows need only be safe.
DEVICE void used_logits(double* used, float* factor, const float* logit, int count, bool jittered, double epsilon,
                        const Draws& draws, int token, int first) {
  Words noise = {};
  if (jittered && count > 0) noise = draw_block(draws, token, PURPOSE_NOISE, first / QUAD);
#pragma unroll
  for (int j = 0; j < QUAD; j++) {
    used[j] = is_finite(logit[j]) ? (double)logit[j] : 0;
    if (jittered) {
      double u = jitter_factor(uniform(noise.w[j]), epsilon);
      used[j] = __dmul_rn(used[j], u);
      factor[j] = (float)u;
    }
  }
}

// <<<ceil(T * LANES(E) / 256), 256, 0>>>
//
// `bad` must hold all ones before; it comes to hold token * E + expert of the first logit that is not finite, by
// token and then by expert. `kept_TE` is null where there is no mask; `used_TE` and `jitter_TE` are written only
// by a Switch gate in training with epsilon > 0, and may be null otherwise.
extern "C" __global__ void __launch_bounds__(256)
    route(int* expert_T, float* multiplier_T, float* scale_T, float* p_TE, unsigned char* kept_TE, float* used_TE,
          float* jitter_TE, u64* bad, const float* logits_TE, int tokens, int experts, int kind, int maskRule,
          int scaleRule, double epsilon, int training, u64 seed, u32 step, u32 layer, u64 firstToken) {
  after_previous();
  Draws draws = {seed, step, layer, firstToken};
  int lanes = lanes_of(experts);
  int lane = threadIdx.x % lanes;
  int stride = lanes * QUAD;
  u64 wide = ((u64)blockIdx.x * blockDim.x + threadIdx.x) / lanes;
  bool live = wide < (u64)tokens;
  int token = live ? (int)wide : 0;
  u64 row = (u64)token * experts;
  bool sparse = kind == SPARSEMIXER;
  bool jittered = !sparse && training && epsilon > 0;
  bool sampled = sparse && training;
  if (!sparse) maskRule = MASK_NONE;
  bool whole = experts % QUAD == 0 && aligned(logits_TE) && aligned(p_TE) && aligned(kept_TE) && aligned(used_TE) &&
               aligned(jitter_TE);
  // Up to 128 experts a lane has a single group and keeps it in registers; beyond, it comes from the cache again.
  bool again = experts > stride;

  double used[QUAD];
  double weight[QUAD];
  float x[QUAD], factor[QUAD];
  Best top = nothing();
  for (int first = lane * QUAD; first < experts; first += stride) {
    int count = live ? quad_count(first, experts) : 0;
    load_quad(x, logits_TE + row + first, count, whole && live);
    used_logits(used, factor, x, count, jittered, epsilon, draws, token, first);
#pragma unroll
    for (int j = 0; j < QUAD; j++) {
      if (j >= count) continue;
      consider(top, used[j], first + j);
      if (!is_finite(x[j])) atomicMin(bad, row + first + j);
    }
    if (jittered && live) {
      store_quad(jitter_TE + row + first, factor, count, whole);
#pragma unroll
      for (int j = 0; j < QUAD; j++) x[j] = (float)used[j];
      store_quad(used_TE + row + first, x, count, whole);
    }
  }
  top = lanes_best(top, lanes);

  double sum = 0;
  Best winner = nothing();
  for (int first = lane * QUAD; first < experts; first += stride) {
    int count = live ? quad_count(first, experts) : 0;
    if (again) {
      load_quad(x, logits_TE + row + first, count, whole && live);
      used_logits(used, factor, x, count, jittered, epsilon, draws, token, first);
    }
    bool keep[QUAD];
    bool any = false;
#pragma unroll
    for (int j = 0; j < QUAD; j++) {
      keep[j] = j < count && keeps(maskRule, used[j], top.value, epsilon);
      any |= keep[j];
      weight[j] = keep[j] ? exp(__dsub_rn(used[j], top.value)) : 0;
      sum += weight[j];
    }
    if (maskRule != MASK_NONE && live) {
      unsigned char* to = kept_TE + row + first;
      if (whole) {
        *(uchar4*)to = make_uchar4(keep[0], keep[1], keep[2], keep[3]);
      } else {
#pragma unroll
        for (int j = 0; j < QUAD; j++) {
          if (j < count) to[j] = keep[j];
        }
      }
    }
    // Gumbel-max. A single kept expert wins whatever is drawn, as if nothing had been.
    if (sampled && any) {
      Words words = draw_block(draws, token, PURPOSE_EXPONENTIAL, first / QUAD);
#pragma unroll
      for (int j = 0; j < QUAD; j++) {
        if (keep[j]) consider(winner, __dsub_rn(used[j], log(-log(uniform(words.w[j])))), first + j);
      }
    }
  }
  sum = lanes_sum(sum, lanes);
  winner = lanes_best(winner, lanes);
  int chosen = sampled ? winner.index : top.index;
  if (!live) return;

  double inverse = __ddiv_rn(1.0, sum);
  for (int first = lane * QUAD; first < experts; first += stride) {
    int count = quad_count(first, experts);
    if (again) {
      load_quad(x, logits_TE + row + first, count, whole);
      used_logits(used, factor, x, count, jittered, epsilon, draws, token, first);
#pragma unroll
      for (int j = 0; j < QUAD; j++) {
        bool keep = j < count && keeps(maskRule, used[j], top.value, epsilon);
        weight[j] = keep ? exp(__dsub_rn(used[j], top.value)) : 0;
      }
    }
#pragma unroll
    for (int j = 0; j < QUAD; j++) {
      double p = __dmul_rn(weight[j], inverse);
      x[j] = (float)p;
      if (first + j == chosen) {
        double scale = sampled ? detached_scale(scaleRule, chosen == top.index, draws, token) : 1;
        expert_T[token] = chosen;
        scale_T[token] = (float)scale;
        multiplier_T[token] = (float)__dmul_rn(scale, p);
      }
    }
    store_quad(p_TE + row + first, x, count, whole);
  }
}

// <<<ceil(T * E / 256), 256, 0>>> An even load whatever the logits are, for measurements; `kept_TE`, `used_TE`
// and `jitter_TE` may be null.
extern "C" __global__ void __launch_bounds__(256)
    forced(int* expert_T, float* multiplier_T, float* scale_T, float* p_TE, unsigned char* kept_TE, float* used_TE,
           float* jitter_TE, const float* logits_TE, int tokens, int experts) {
  after_previous();
  u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= (u64)tokens * experts) return;
  p_TE[i] = 1.0f / experts;
  if (kept_TE) kept_TE[i] = 1;
  if (used_TE) used_TE[i] = logits_TE[i];
  if (jitter_TE) jitter_TE[i] = 1;
  if (i < (u64)tokens) {
    expert_T[i] = (int)(i % experts);
    multiplier_T[i] = 1;
    scale_T[i] = 1;
  }
}

// ---------------------------------------------------------------- rows by expert: a stable counting sort
//
// A warp has a tile, tokensPerTile tokens on end, and counts experts in shared memory. With
//
//   tokensPerTile = max(128, ceil(T / 1024) rounded up to a multiple of 32)
//   tiles         = max(1, ceil(T / tokensPerTile))                            so at most 1024
//
// tileCount has tiles * E ints. Tiles times experts stay small whatever T is, and 128 tokens fill the machine.

#define TILE_WARPS 4

// Sum of x over the threads before this one, in a block of whole warps; `scratch` has 32 places.
DEVICE int block_scan(int x, int* scratch, int& total) {
  int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
  int upTo = x;
  for (int o = 1; o < WARP; o <<= 1) {
    int before = __shfl_up_sync(FULL, upTo, o);
    if (lane >= o) upTo += before;
  }
  __syncthreads();
  if (lane == WARP - 1) scratch[warp] = upTo;
  __syncthreads();
  int warps = lane < blockDim.x / WARP ? scratch[lane] : 0;
  for (int o = 1; o < WARP; o <<= 1) {
    int before = __shfl_up_sync(FULL, warps, o);
    if (lane >= o) warps += before;
  }
  total = __shfl_sync(FULL, warps, WARP - 1);
  int earlier = __shfl_sync(FULL, warps, max(warp - 1, 0));
  return (warp > 0 ? earlier : 0) + upTo - x;
}

// Adds 32 tokens to a warp's counters and returns how many came before this lane's token at its expert, those
// counted earlier included; lanes without a token have expert -1.
DEVICE int count_warp(int* count_E, int expert) {
  u32 same = __match_any_sync(FULL, expert);
  u32 before = same & ((1u << (threadIdx.x % WARP)) - 1);
  int rank = expert < 0 ? 0 : count_E[expert] + __popc(before);
  __syncwarp();
  if (expert >= 0 && before == 0) count_E[expert] += __popc(same);
  __syncwarp();
  return rank;
}

// <<<ceil(tiles / 4), 128, 16 * E>>>
extern "C" __global__ void __launch_bounds__(TILE_WARPS * WARP)
    count_tiles(int* tileCount, const int* expert_T, int tokens, int experts, int tokensPerTile, int tiles) {
  after_previous();
  extern __shared__ int counters[];
  int lane = threadIdx.x % WARP;
  int tile = blockIdx.x * TILE_WARPS + threadIdx.x / WARP;
  if (tile >= tiles) return;
  int* count_E = counters + threadIdx.x / WARP * experts;
  for (int e = lane; e < experts; e += WARP) count_E[e] = 0;
  __syncwarp();
  int from = tile * tokensPerTile, to = min(tokens, from + tokensPerTile);
  for (int base = from; base < to; base += WARP) {
    int token = base + lane;
    count_warp(count_E, token < to ? expert_T[token] : -1);
  }
  for (int e = lane; e < experts; e += WARP) tileCount[(u64)tile * experts + e] = count_E[e];
}

// <<<E, 256, 0>>> Turns an expert's counts into how many tokens came to it in the tiles before.
extern "C" __global__ void __launch_bounds__(256)
    scan_tiles(int* tileCount, int* routed_E, int experts, int tiles) {
  after_previous();
  __shared__ int scratch[WARP];
  int expert = blockIdx.x;
  int routed = 0;
  for (int base = 0; base < tiles; base += blockDim.x) {
    int tile = base + threadIdx.x;
    u64 at = (u64)tile * experts + expert;
    int count = tile < tiles ? tileCount[at] : 0;
    int total;
    int before = block_scan(count, scratch, total);
    if (tile < tiles) tileCount[at] = routed + before;
    routed += total;
  }
  if (threadIdx.x == 0) routed_E[expert] = routed;
}

// <<<ceil(tiles / 4), 128, 20 * E>>>
//
// `capacity` rows an expert, 2^31 - 1 for dropless; the first tokens of an expert get its places. Where places
// are drawn instead (`shuffled`) all tokens are sorted into `tokenOfRow_R`, which is then a workspace of T ints
// for keep_by_priority, and `rowOfToken_T` is left to it. offset_E1 is after dropping either way.
extern "C" __global__ void __launch_bounds__(TILE_WARPS * WARP)
    place(int* tokenOfRow_R, int* rowOfToken_T, int* offset_E1, const int* tileCount, const int* routed_E,
          const int* expert_T, int tokens, int experts, int tokensPerTile, int tiles, int capacity, int shuffled) {
  after_previous();
  extern __shared__ int counters[];
  __shared__ int scratch[WARP];
  int* offset_E = counters + TILE_WARPS * experts;
  int lane = threadIdx.x % WARP;

  // Every block adds up the experts for itself, which is less than a kernel of its own would take.
  int share = (experts + blockDim.x - 1) / blockDim.x;
  int begin = min(experts, (int)threadIdx.x * share), end = min(experts, begin + share);
  int all = 0, kept = 0, total;
  for (int e = begin; e < end; e++) {
    all += routed_E[e];
    kept += min(routed_E[e], capacity);
  }
  int keptBefore = block_scan(kept, scratch, total);
  if (blockIdx.x == 0 && threadIdx.x == 0) offset_E1[experts] = total;
  int before = shuffled ? block_scan(all, scratch, total) : keptBefore;
  for (int e = begin; e < end; e++) {
    if (blockIdx.x == 0) offset_E1[e] = keptBefore;
    offset_E[e] = before;
    keptBefore += min(routed_E[e], capacity);
    before += shuffled ? routed_E[e] : min(routed_E[e], capacity);
  }
  __syncthreads();

  int tile = blockIdx.x * TILE_WARPS + threadIdx.x / WARP;
  if (tile >= tiles) return;
  int* count_E = counters + threadIdx.x / WARP * experts;
  for (int e = lane; e < experts; e += WARP) count_E[e] = tileCount[(u64)tile * experts + e];
  __syncwarp();
  int from = tile * tokensPerTile, to = min(tokens, from + tokensPerTile);
  for (int base = from; base < to; base += WARP) {
    int token = base + lane;
    int expert = token < to ? expert_T[token] : -1;
    int rank = count_warp(count_E, expert);
    if (expert < 0) continue;
    int row = offset_E[expert] + rank;
    if (shuffled) {
      tokenOfRow_R[row] = token;
    } else {
      bool placed = rank < capacity;
      if (placed) tokenOfRow_R[row] = token;
      rowOfToken_T[token] = placed ? row : -1;
    }
  }
}

#define DIGIT_BITS 11
#define DIGITS (1 << DIGIT_BITS)
#define FIRST_SHIFT 44

// <<<E, 1024, 0>>> After place with `shuffled`, whose result is `sorted_T`: the `capacity` tokens of an expert
// that come first by priority, ties by token, stay, in token order. A radix select from the high digit down
// finds the priority of the last of them; it ends as soon as all that share the digits so far stay.
extern "C" __global__ void __launch_bounds__(1024)
    keep_by_priority(int* tokenOfRow_R, int* rowOfToken_T, const int* sorted_T, const int* routed_E,
                     const int* offset_E1, int capacity, u64 seed, u32 step, u32 layer, u64 firstToken) {
  after_previous();
  __shared__ int histogram[DIGITS];
  __shared__ int scratch[WARP];
  __shared__ int chosenDigit, chosenBefore, chosenCount;
  Draws draws = {seed, step, layer, firstToken};
  int expert = blockIdx.x;
  int thread = threadIdx.x;
  int count = routed_E[expert];
  int from;
  block_scan(thread < expert ? routed_E[thread] : 0, scratch, from);
  sorted_T += from;

  // Kept is what is below `prefix` in its digits from `shift` up, and the first `places` of those that equal it.
  u64 prefix = 0;
  int shift = 0;
  int places = min(capacity, count);
  bool choose = count > capacity;
  if (choose && capacity > 0) {
    for (shift = FIRST_SHIFT;; shift -= DIGIT_BITS) {
      for (int i = thread; i < DIGITS; i += blockDim.x) histogram[i] = 0;
      __syncthreads();
      for (int i = thread; i < count; i += blockDim.x) {
        u64 key = draw_53(draws, sorted_T[i], PURPOSE_PRIORITY) >> shift;
        if (key >> DIGIT_BITS == prefix) atomicAdd(&histogram[key & (DIGITS - 1)], 1);
      }
      __syncthreads();
      int share = DIGITS / blockDim.x;
      int sum = 0, total;
      for (int i = thread * share; i < (thread + 1) * share; i++) sum += histogram[i];
      int before = block_scan(sum, scratch, total);
      for (int i = thread * share; i < (thread + 1) * share; i++) {
        if (before < places && places <= before + histogram[i]) {
          chosenDigit = i;
          chosenBefore = before;
          chosenCount = histogram[i];
        }
        before += histogram[i];
      }
      __syncthreads();
      prefix = prefix << DIGIT_BITS | (u64)chosenDigit;
      places -= chosenBefore;
      if (shift == 0 || chosenCount == places) break;
      __syncthreads();
    }
  }

  int row = offset_E1[expert];
  int ties = 0;
  for (int base = 0; base < count; base += blockDim.x) {
    int i = base + thread;
    int token = i < count ? sorted_T[i] : -1;
    bool below = i < count && !choose;
    bool tie = false;
    if (i < count && choose) {
      u64 key = draw_53(draws, token, PURPOSE_PRIORITY) >> shift;
      below = key < prefix;
      tie = key == prefix;
    }
    int total;
    int tiesBefore = block_scan(tie, scratch, total);
    bool keep = below || (tie && ties + tiesBefore < places);
    ties += total;
    int before = block_scan(keep, scratch, total);
    if (keep) tokenOfRow_R[row + before] = token;
    if (token >= 0) rowOfToken_T[token] = keep ? row + before : -1;
    row += total;
  }
}

// ---------------------------------------------------------------- sums over tokens

#define STATS_WARPS 4

// ln sum exp of a token's logits, in each of its lanes.
DEVICE double log_sum_exp(const float* logits_E, int experts, int lane, int lanes, bool whole) {
  float x[QUAD];
  double most = -(double)INF;
  for (int first = lane * QUAD; first < experts; first += lanes * QUAD) {
    int count = quad_count(first, experts);
    load_quad(x, logits_E + first, count, whole);
#pragma unroll
    for (int j = 0; j < QUAD; j++) {
      if (j < count) most = fmax(most, (double)x[j]);
    }
  }
  most = lanes_max(most, lanes);
  double sum = 0;
  for (int first = lane * QUAD; first < experts; first += lanes * QUAD) {
    int count = quad_count(first, experts);
    if (experts > lanes * QUAD) load_quad(x, logits_E + first, count, whole);
#pragma unroll
    for (int j = 0; j < QUAD; j++) {
      if (j < count) sum += exp((double)x[j] - most);
    }
  }
  return most + log(lanes_sum(sum, lanes));
}

// <<<parts, 128, 32 * E>>> with parts = min(512, max(1, ceil(T / 64)))
//
// part: parts * (E + 2) doubles, each block's share of sumP_E, sumZ and alive, for stats_total. `used_TE` may be
// null where nobody wants sumZ, which is then zero.
extern "C" __global__ void __launch_bounds__(STATS_WARPS * WARP)
    stats_parts(double* part, const float* p_TE, const float* used_TE, const unsigned char* kept_TE, int tokens,
                int experts) {
  after_previous();
  extern __shared__ double sums[];
  __shared__ double scratch[WARP];
  int lanes = lanes_of(experts);
  int lane = threadIdx.x % lanes, warp = threadIdx.x / WARP;
  int own = threadIdx.x / lanes, step = blockDim.x / lanes;
  int begin = (int)((u64)tokens * blockIdx.x / gridDim.x);
  int end = (int)((u64)tokens * (blockIdx.x + 1) / gridDim.x);
  bool whole = experts % QUAD == 0 && aligned(p_TE) && aligned(used_TE);
  double* out = part + (u64)blockIdx.x * (experts + 2);

  int groups = (experts + lanes * QUAD - 1) / (lanes * QUAD);
  for (int g = 0; g < groups; g++) {
    int first = (g * lanes + lane) * QUAD;
    int count = quad_count(first, experts);
    bool wholeQuad = whole && count == QUAD;
    double sum[QUAD] = {};
#pragma unroll 4
    for (int token = begin + own; token < end; token += step) {
      float p[QUAD];
      load_quad(p, p_TE + (u64)token * experts + first, count, wholeQuad);
#pragma unroll
      for (int j = 0; j < QUAD; j++) sum[j] += p[j];
    }
#pragma unroll
    for (int j = 0; j < QUAD; j++) {
      for (int o = WARP / 2; o >= lanes; o >>= 1) sum[j] += __shfl_xor_sync(FULL, sum[j], o);
      if (threadIdx.x % WARP < lanes && j < count) sums[warp * experts + first + j] = sum[j];
    }
  }
  __syncthreads();
  for (int e = threadIdx.x; e < experts; e += blockDim.x) {
    double sum = 0;
    for (int w = 0; w < STATS_WARPS; w++) sum += sums[w * experts + e];
    out[e] = sum;
  }

  double z = 0, alive = 0;
  if (used_TE || kept_TE) {
    // The same number of turns for every lane: they exchange what they have.
    for (int base = begin; base < end; base += step) {
      int token = base + own;
      bool counts = token < end && lane == 0;
      u64 row = (u64)min(token, end - 1) * experts;
      if (used_TE) {
        double lse = log_sum_exp(used_TE + row, experts, lane, lanes, whole);
        if (counts) z += lse * lse;
      }
      if (kept_TE) {
        int kept = 0;
        for (int first = lane * QUAD; first < experts; first += lanes * QUAD) {
          for (int j = 0; j < quad_count(first, experts); j++) kept += kept_TE[row + first + j];
        }
        kept = lanes_sum(kept, lanes);
        if (counts && kept > 1) alive += 1;
      }
    }
  }
  z = block_sum(z, scratch);
  alive = block_sum(alive, scratch);
  if (threadIdx.x == 0) {
    out[experts] = z;
    out[experts + 1] = kept_TE ? alive : experts > 1 ? end - begin : 0;
  }
}

// <<<ceil((E + 2) / 8), 256, 0>>> `badLogit` gets the logit that `bad` of route points at, if any.
extern "C" __global__ void __launch_bounds__(256)
    stats_total(double* sumP_E, double* sumZ, int* alive, float* badLogit, const double* part, int parts, int experts,
                const u64* bad, const float* logits_TE) {
  after_previous();
  int lane = threadIdx.x % WARP;
  int column = blockIdx.x * (256 / WARP) + threadIdx.x / WARP;
  if (blockIdx.x == 0 && threadIdx.x == 0) *badLogit = *bad == ~0ull ? 0 : logits_TE[*bad];
  if (column >= experts + 2) return;
  double sum = 0;
#pragma unroll 4
  for (int p = lane; p < parts; p += WARP) sum += part[(u64)p * (experts + 2) + column];
  sum = warp_sum(sum);
  if (lane != 0) return;
  if (column < experts) {
    sumP_E[column] = sum;
  } else if (column == experts) {
    *sumZ = sum;
  } else {
    *alive = (int)sum;
  }
}

// ---------------------------------------------------------------- rows
//
// A warp has a row; vectors of eight bf16 where rows are aligned to them, four of each operand in flight.

#define VECTOR 8
#define IN_FLIGHT 4
#define ROW_WARPS 8

DEVICE int row_of_warp() { return blockIdx.x * ROW_WARPS + threadIdx.x / WARP; }

// mid + w * y for the two bf16 in a word.
DEVICE u32 add_pair(u32 mid, u32 y, float w0, float w1) {
  return pack(fmaf(w0, low(y), low(mid)), fmaf(w1, high(y), high(mid)));
}
DEVICE uint4 add_vector(uint4 mid, uint4 y, float m, const float* omega) {
  float4 a = make_float4(m, m, m, m), b = a;
  if (omega) {
    float4 c = ((const float4*)omega)[0], d = ((const float4*)omega)[1];
    a = make_float4(m * c.x, m * c.y, m * c.z, m * c.w);
    b = make_float4(m * d.x, m * d.y, m * d.z, m * d.w);
  }
  return make_uint4(add_pair(mid.x, y.x, a.x, a.y), add_pair(mid.y, y.y, a.z, a.w), add_pair(mid.z, y.z, b.x, b.y),
                    add_pair(mid.w, y.w, b.z, b.w));
}

DEVICE void copy_row(bf16* out, const bf16* in, int d) {
  int lane = threadIdx.x % WARP;
  if (d % VECTOR == 0 && aligned(out) && aligned(in)) {
    int vectors = d / VECTOR;
    for (int base = lane; base < vectors; base += WARP * IN_FLIGHT) {
      uint4 a[IN_FLIGHT];
#pragma unroll
      for (int k = 0; k < IN_FLIGHT; k++) {
        if (base + k * WARP < vectors) a[k] = ((const uint4*)in)[base + k * WARP];
      }
#pragma unroll
      for (int k = 0; k < IN_FLIGHT; k++) {
        if (base + k * WARP < vectors) ((uint4*)out)[base + k * WARP] = a[k];
      }
    }
  } else {
    for (int i = lane; i < d; i += WARP) out[i] = in[i];
  }
}

// x = mid + m * omega * y; x may be mid.
DEVICE void add_row(bf16* x, const bf16* mid, const bf16* y, float m, const float* omega, int d) {
  int lane = threadIdx.x % WARP;
  if (d % VECTOR == 0 && aligned(x) && aligned(mid) && aligned(y) && aligned(omega)) {
    int vectors = d / VECTOR;
    for (int base = lane; base < vectors; base += WARP * IN_FLIGHT) {
      uint4 a[IN_FLIGHT], b[IN_FLIGHT];
#pragma unroll
      for (int k = 0; k < IN_FLIGHT; k++) {
        int i = base + k * WARP;
        if (i < vectors) {
          a[k] = ((const uint4*)mid)[i];
          b[k] = ((const uint4*)y)[i];
        }
      }
#pragma unroll
      for (int k = 0; k < IN_FLIGHT; k++) {
        int i = base + k * WARP;
        if (i < vectors) ((uint4*)x)[i] = add_vector(a[k], b[k], m, omega ? omega + i * VECTOR : omega);
      }
    }
  } else {
    for (int i = lane; i < d; i += WARP) {
      float w = omega ? m * omega[i] : m;
      store(x + i, fmaf(w, to_float(y[i]), to_float(mid[i])));
    }
  }
}

// <<<ceil(maxRows / 8), 256, 0>>> maxRows is what the launch is for (T, say), *rows what there is.
extern "C" __global__ void __launch_bounds__(ROW_WARPS * WARP)
    gather(bf16* sent_RD, const bf16* h_TD, const int* tokenOfRow_R, const int* rows, int maxRows, int d) {
  after_previous();
  int row = row_of_warp();
  if (row >= min(maxRows, *rows)) return;
  copy_row(sent_RD + (u64)row * d, h_TD + (u64)tokenOfRow_R[row] * d, d);
}

// <<<ceil(T / 8), 256, 0>>> omega is null for ones; x_TD may be mid_TD.
extern "C" __global__ void __launch_bounds__(ROW_WARPS * WARP)
    combine_layer(bf16* x_TD, const bf16* mid_TD, const bf16* const* y_E, const int* offset_E1, const int* rowOfToken_T,
            const int* expert_T, const float* multiplier_T, const float* omega, int tokens, int d) {
  after_previous();
  int token = row_of_warp();
  if (token >= tokens) return;
  int row = rowOfToken_T[token];
  int expert = expert_T[token];
  bf16* x = x_TD + (u64)token * d;
  const bf16* mid = mid_TD + (u64)token * d;
  if (row >= 0) {
    add_row(x, mid, y_E[expert] + (u64)(row - offset_E1[expert]) * d, multiplier_T[token], omega, d);
  } else if (x != mid) {
    copy_row(x, mid, d);
  }
}

// <<<ceil(T / 8), 256, 0>>>
extern "C" __global__ void __launch_bounds__(ROW_WARPS * WARP)
    dispatch_backward(bf16* dH_TD, const bf16* const* dIn_E, const int* offset_E1, const int* rowOfToken_T,
                      const int* expert_T, int tokens, int d) {
  after_previous();
  int token = row_of_warp();
  if (token >= tokens) return;
  int row = rowOfToken_T[token];
  if (row < 0) return;
  int expert = expert_T[token];
  bf16* dH = dH_TD + (u64)token * d;
  add_row(dH, dH, dIn_E[expert] + (u64)(row - offset_E1[expert]) * d, 1, 0, d);
}

// ---------------------------------------------------------------- gradient of combine

#define ROWS_AT_ONCE 4
#define STAGED_ROWS 64

// WIDTH neighbours of a row as they are loaded: a vector, or a single bf16 where rows are not aligned.
template <int WIDTH>
struct Piece {
  bf16 x;
};
template <>
struct Piece<VECTOR> {
  uint4 x;
};
DEVICE void unpack(float* x, const Piece<1>& piece) { x[0] = to_float(piece.x); }
DEVICE void unpack(float* x, const Piece<VECTOR>& piece) {
  x[0] = low(piece.x.x);
  x[1] = high(piece.x.x);
  x[2] = low(piece.x.y);
  x[3] = high(piece.x.y);
  x[4] = low(piece.x.z);
  x[5] = high(piece.x.z);
  x[6] = low(piece.x.w);
  x[7] = high(piece.x.w);
}
DEVICE void pack_into(Piece<1>& piece, const float* x) { piece.x = to_bf16(x[0]); }
DEVICE void pack_into(Piece<VECTOR>& piece, const float* x) {
  piece.x = make_uint4(pack(x[0], x[1]), pack(x[2], x[3]), pack(x[4], x[5]), pack(x[6], x[7]));
}

// Where the rows that a block is about to take are: read for many rows at once, since each is found only through
// three loads that wait for one another.
struct Staged {
  const bf16* y[STAGED_ROWS];
  int token[STAGED_ROWS];
  float multiplier[STAGED_ROWS];
  float s[2][ROWS_AT_ONCE][WARP];
};

// The rows [begin, end); a thread has WIDTH columns of them, and of dOmega. Wider rows are taken in turns.
template <int WIDTH>
DEVICE void combine_backward_rows(Staged& staged, bf16* dY_RD, float* s_T, float* partial_D, const bf16* dX_TD,
                                  const bf16* const* y_E, const int* offset_E1, const int* tokenOfRow_R,
                                  const int* expert_T, const float* multiplier_T, const float* omega, int begin,
                                  int end, int d) {
  int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, warps = blockDim.x / WARP;
  int flip = 0;
  for (int left = 0; left < d; left += blockDim.x * WIDTH) {
    int column = left + threadIdx.x * WIDTH;
    bool inside = column < d;
    float weight[WIDTH], dOmega[WIDTH];
#pragma unroll
    for (int j = 0; j < WIDTH; j++) {
      weight[j] = omega && inside ? omega[column + j] : 1;
      dOmega[j] = 0;
    }
    for (int base = begin; base < end; base += STAGED_ROWS) {
      int rows = min(STAGED_ROWS, end - base);
      __syncthreads();
      for (int i = threadIdx.x; i < rows; i += blockDim.x) {
        int token = tokenOfRow_R[base + i];
        int expert = expert_T[token];
        staged.token[i] = token;
        staged.multiplier[i] = multiplier_T[token];
        staged.y[i] = y_E[expert] + (u64)(base + i - offset_E1[expert]) * d;
      }
      __syncthreads();
      for (int r = 0; r < rows; r += ROWS_AT_ONCE) {
        Piece<WIDTH> gs[ROWS_AT_ONCE], ys[ROWS_AT_ONCE];
#pragma unroll
        for (int k = 0; k < ROWS_AT_ONCE; k++) {
          if (inside && r + k < rows) {
            gs[k] = *(const Piece<WIDTH>*)(dX_TD + (u64)staged.token[r + k] * d + column);
            ys[k] = *(const Piece<WIDTH>*)(staged.y[r + k] + column);
          }
        }
        float s[ROWS_AT_ONCE];
#pragma unroll
        for (int k = 0; k < ROWS_AT_ONCE; k++) {
          s[k] = 0;
          if (inside && r + k < rows) {
            float g[WIDTH], y[WIDTH];
            unpack(g, gs[k]);
            unpack(y, ys[k]);
            float m = staged.multiplier[r + k];
#pragma unroll
            for (int j = 0; j < WIDTH; j++) {
              float gy = g[j] * y[j];
              s[k] = fmaf(weight[j], gy, s[k]);
              dOmega[j] = fmaf(m, gy, dOmega[j]);
              g[j] *= m * weight[j];
            }
            pack_into(gs[k], g);
            *(Piece<WIDTH>*)(dY_RD + (u64)(base + r + k) * d + column) = gs[k];
          }
        }
#pragma unroll
        for (int k = 0; k < ROWS_AT_ONCE; k++) s[k] = warp_sum(s[k]);
        if (lane == 0) {
#pragma unroll
          for (int k = 0; k < ROWS_AT_ONCE; k++) staged.s[flip][k][warp] = s[k];
        }
        // One barrier a turn is enough: the next one writes the other half.
        __syncthreads();
        for (int k = warp; k < ROWS_AT_ONCE; k += warps) {
          float sum = warp_sum(lane < warps ? staged.s[flip][k][lane] : 0);
          if (lane == 0 && r + k < rows) {
            float* s = s_T + staged.token[r + k];
            *s = left == 0 ? sum : *s + sum;
          }
        }
        flip ^= 1;
      }
    }
    if (partial_D && inside) {
#pragma unroll
      for (int j = 0; j < WIDTH; j++) partial_D[column + j] = dOmega[j];
    }
  }
}

// <<<parts, threads, 0>>> with threads = min(512, ceil(d / 8) rounded up to a multiple of 32) and, say,
// parts = max(1, min(ceil(T / 16), SMs * max(1, 704 / threads))): as many blocks as the registers have room for.
//
// partial: parts * d floats, null exactly where omega is. dX_TD must not be dY_RD.
extern "C" __global__ void __launch_bounds__(512)
    combine_layer_backward(bf16* dY_RD, float* s_T, float* partial, const bf16* dX_TD, const bf16* const* y_E,
                     const int* offset_E1, const int* tokenOfRow_R, const int* rowOfToken_T, const int* expert_T,
                     const float* multiplier_T, const float* omega, int tokens, int experts, int d, int parts) {
  after_previous();
  __shared__ Staged staged;
  for (int token = blockIdx.x * blockDim.x + threadIdx.x; token < tokens; token += gridDim.x * blockDim.x) {
    if (rowOfToken_T[token] < 0) s_T[token] = 0;
  }
  int fits = d % VECTOR == 0 && aligned(dY_RD) && aligned(dX_TD);
  for (int e = threadIdx.x; e < experts; e += blockDim.x) fits &= aligned(y_E[e]);
  fits = __syncthreads_and(fits);
  u64 rows = offset_E1[experts];
  int begin = (int)(rows * blockIdx.x / parts), end = (int)(rows * (blockIdx.x + 1) / parts);
  float* partial_D = partial ? partial + (u64)blockIdx.x * d : partial;
  if (fits) {
    combine_backward_rows<VECTOR>(staged, dY_RD, s_T, partial_D, dX_TD, y_E, offset_E1, tokenOfRow_R, expert_T,
                                  multiplier_T, omega, begin, end, d);
  } else {
    combine_backward_rows<1>(staged, dY_RD, s_T, partial_D, dX_TD, y_E, offset_E1, tokenOfRow_R, expert_T,
                             multiplier_T, omega, begin, end, d);
  }
}

// ---------------------------------------------------------------- gradient of the gate

// <<<ceil(T * LANES(E) / 256), 256, 0>>>
//
// With D the expert of a token, m = p_D, u its jitter (jitter_TE null: ones) and f the experts' load:
//
//   dLogits_j = u_j (kappa s m (1[j = D] - p_j) + balanceFactor p_j (f_j - sum_i p_i f_i)
//                    + zFactor lse exp(logit_j - lse))
//
// balanceFactor = coefficient * E / tokens of the step, zFactor = 2 * coefficient / tokens of the step; used_TE
// may be null where zFactor is zero.
extern "C" __global__ void __launch_bounds__(256)
    logits_gradient(float* dLogits_TE, const float* p_TE, const float* used_TE, const float* jitter_TE,
                    const int* expert_T, const float* s_T, const double* load_E, int tokens, int experts, double kappa,
                    double balanceFactor, double zFactor) {
  after_previous();
  int lanes = lanes_of(experts);
  int lane = threadIdx.x % lanes;
  int stride = lanes * QUAD;
  u64 wide = ((u64)blockIdx.x * blockDim.x + threadIdx.x) / lanes;
  bool live = wide < (u64)tokens;
  // Lanes without a token go along with the last one, so that all can exchange what they have.
  int token = live ? (int)wide : tokens - 1;
  u64 row = (u64)token * experts;
  bool whole = experts % QUAD == 0 && aligned(dLogits_TE) && aligned(p_TE) && aligned(used_TE) && aligned(jitter_TE);
  int chosen = expert_T[token];

  // 1 - p_D as the sum of the others: where p_D is close to one, rounding it to float32 has left nothing else.
  double own = 0, others = 0, mean = 0;
  float p[QUAD], x[QUAD], u[QUAD] = {1, 1, 1, 1};
  for (int first = lane * QUAD; first < experts; first += stride) {
    int count = quad_count(first, experts);
    load_quad(p, p_TE + row + first, count, whole);
#pragma unroll
    for (int j = 0; j < QUAD; j++) {
      if (j >= count) continue;
      if (first + j == chosen) {
        own = p[j];
      } else {
        others += p[j];
      }
      mean += p[j] * load_E[first + j];
    }
  }
  own = lanes_sum(own, lanes);
  others = lanes_sum(others, lanes);
  mean = lanes_sum(mean, lanes);
  double lse = zFactor != 0 ? log_sum_exp(used_TE + row, experts, lane, lanes, whole) : 0;
  if (!live) return;

  double c = kappa * s_T[token] * own;
  for (int first = lane * QUAD; first < experts; first += stride) {
    int count = quad_count(first, experts);
    if (experts > stride) load_quad(p, p_TE + row + first, count, whole);
    if (zFactor != 0) load_quad(x, used_TE + row + first, count, whole);
    if (jitter_TE) load_quad(u, jitter_TE + row + first, count, whole);
    float gradient[QUAD];
#pragma unroll
    for (int j = 0; j < QUAD; j++) {
      if (j >= count) continue;
      double sum = first + j == chosen ? c * others : -c * p[j];
      sum += balanceFactor * p[j] * (load_E[first + j] - mean);
      if (zFactor != 0) sum += zFactor * lse * exp(x[j] - lse);
      gradient[j] = (float)(sum * u[j]);
    }
    store_quad(dLogits_TE + row + first, gradient, count, whole);
  }
}

// ---------------------------------------------------------------- jitter of the router's input

// <<<ceil(T * ceil(d / 8) / 256), 256, 0>>> out = factor * h, with the factor as it is kept, in bf16.
extern "C" __global__ void __launch_bounds__(256)
    input_jitter(bf16* out_TD, bf16* factor_TD, const bf16* h_TD, int tokens, int d, double epsilon, u64 seed,
                 u32 step, u32 layer, u64 firstToken) {
  after_previous();
  Draws draws = {seed, step, layer, firstToken};
  int pieces = (d + VECTOR - 1) / VECTOR;
  u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= (u64)tokens * pieces) return;
  int token = (int)(i / pieces);
  int first = (int)(i % pieces) * VECTOR;
  u64 at = (u64)token * d + first;
  float h[VECTOR], u[VECTOR];
  bool whole = d % VECTOR == 0 && aligned(out_TD) && aligned(factor_TD) && aligned(h_TD);
  Piece<VECTOR> piece;
  if (whole) {
    piece = *(const Piece<VECTOR>*)(h_TD + at);
    unpack(h, piece);
  }
#pragma unroll
  for (int q = 0; q < VECTOR / QUAD; q++) {
    Words words = draw_block(draws, token, PURPOSE_INPUT_NOISE, first / QUAD + q);
#pragma unroll
    for (int j = 0; j < QUAD; j++) {
      u[q * QUAD + j] = to_float(to_bf16((float)jitter_factor(uniform(words.w[j]), epsilon)));
    }
  }
  if (whole) {
    pack_into(piece, u);
    *(Piece<VECTOR>*)(factor_TD + at) = piece;
#pragma unroll
    for (int j = 0; j < VECTOR; j++) h[j] *= u[j];
    pack_into(piece, h);
    *(Piece<VECTOR>*)(out_TD + at) = piece;
  } else {
#pragma unroll
    for (int j = 0; j < VECTOR; j++) {
      if (first + j >= d) continue;
      store(factor_TD + at + j, u[j]);
      store(out_TD + at + j, u[j] * to_float(h_TD[at + j]));
    }
  }
}

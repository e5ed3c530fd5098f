// The gate of a mixture-of-experts layer: experts and multipliers of every token, sums for the losses, and the
// gradient of the logits.
//
//   route                       one expert a token: Switch, SparseMixer
//   route_slots                 several: rounds of SparseMixer-v2, the best of a softmax
//   forced                      an even load
//   stats_parts, stats_total    what the losses and the log need
//   logits_gradient             of one expert; _rounds and _shares of several
//
// Decisions are those of troupe.router.gate for the same float32 logits and counters: what decides is computed
// in double precision, in Java's order, by operations that the compiler may not contract. Nothing depends on the
// order in which blocks run: sums have a fixed tree, and atomics act on integers only.
//
// T tokens (at least 1), E experts (1 to 1024), k slots a token (1 to 32), S = T k slots, those of a token on end.
// A token has LANES(E) lanes, each of which has experts in groups of four: four is what one block of the generator
// and one 16-byte load hold.
//
//   LANES(E) = the least power of two >= E / 4, at most 32

#define MAX_INDEX 0x7fffffff
#define MAX_NODES 99

enum Kind { SWITCH = 0, SPARSEMIXER = 1 };
enum Mask { MASK_NONE = 0, MASK_CODE = 1, MASK_PAPER = 2 };

// troupe.router.gate.QuadratureScale: with no node any scale, else node i where a draw is above upTo of those before.
struct Scale {
  int fullBest;
  int evenly;
  int count;
  double node[MAX_NODES];
  double upTo[MAX_NODES];
};

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

DEVICE double detached_scale(const Scale& scale, bool best, const Draws& draws, int token, int round) {
  if (scale.fullBest && best) return 1;
  if (scale.evenly && draw_single(draws, token, PURPOSE_COIN + round) > 0.5) return 1;
  if (scale.count == 1) return scale.node[0];
  double draw = draw_single(draws, token, (scale.evenly ? PURPOSE_SCALE : PURPOSE_COIN) + round);
  if (scale.count == 0) return draw;
  int node = 0;
  for (int i = 0; i < scale.count - 1; i++) node += draw > scale.upTo[i];
  return scale.node[node];
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
// token and then by expert. `used_TE` and `jitter_TE` are written only by a Switch gate in training with
// epsilon > 0, and may be null otherwise.
extern "C" __global__ void __launch_bounds__(256)
    route(int* expert_T, float* multiplier_T, float* scale_T, unsigned char* alive_T, float* p_TE, float* used_TE,
          float* jitter_TE, u64* bad, const float* logits_TE, int tokens, int experts, int kind, int maskRule,
          const __grid_constant__ Scale scaleRule, double epsilon, int training, u64 seed, u32 step, u32 layer,
          u64 firstToken) {
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
  bool whole = experts % QUAD == 0 && aligned(logits_TE) && aligned(p_TE) && aligned(used_TE) && aligned(jitter_TE);
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
  int kept = 0;
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
      kept += keep[j];
      weight[j] = keep[j] ? exp(__dsub_rn(used[j], top.value)) : 0;
      sum += weight[j];
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
  kept = lanes_sum(kept, lanes);
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
        double scale = sampled ? detached_scale(scaleRule, chosen == top.index, draws, token, 0) : 1;
        expert_T[token] = chosen;
        alive_T[token] = kept > 1;
        scale_T[token] = (float)scale;
        multiplier_T[token] = (float)__dmul_rn(scale, p);
      }
    }
    store_quad(p_TE + row + first, x, count, whole);
  }
}

// <<<ceil(T * LANES(E) / 256), 256, 0>>>
//
// k rounds, each without the experts chosen before. `sampling`: a round is that of SparseMixer-v2, a sample from a
// masked softmax in training, else the best, at the probability that it has in its round. Otherwise it takes the best,
// and experts share by their probabilities. p_TE is the softmax over all either way. `best_S` gets the largest logit
// of each round, and `sum_S` the sum of exp(logit - best) over what its mask kept; neither is touched where nothing
// is sampled. `bad` as in route.
extern "C" __global__ void __launch_bounds__(256)
    route_slots(int* expert_S, float* multiplier_S, float* scale_S, unsigned char* alive_T, float* p_TE, float* best_S,
                double* sum_S, u64* bad, const float* logits_TE, int tokens, int experts, int k, int sampling,
                int maskRule, const __grid_constant__ Scale scaleRule, double epsilon, int training, u64 seed,
                u32 step, u32 layer, u64 firstToken) {
  after_previous();
  Draws draws = {seed, step, layer, firstToken};
  int lanes = lanes_of(experts);
  int lane = threadIdx.x % lanes;
  int stride = lanes * QUAD;
  u64 wide = ((u64)blockIdx.x * blockDim.x + threadIdx.x) / lanes;
  bool live = wide < (u64)tokens;
  int token = live ? (int)wide : 0;
  const float* logits_E = logits_TE + (u64)token * experts;
  float* p_E = p_TE + (u64)token * experts;
  u64 slot = (u64)token * k;
  bool whole = experts % QUAD == 0 && aligned(logits_TE) && aligned(p_TE);
  bool again = experts > stride;

  // One that is not finite stands as zero: it is reported, and what follows need only be safe.
  float x[QUAD];
  // A bit for each of this lane's experts that was chosen before.
  u32 gone = 0;
  double most = 0, shared = 0;
  for (int round = 0; round < k; round++) {
    Best top = nothing();
    int bit = 0;
    for (int first = lane * QUAD; first < experts; first += stride, bit += QUAD) {
      int count = live ? quad_count(first, experts) : 0;
      if (round == 0 || again) load_quad(x, logits_E + first, count, whole && live);
#pragma unroll
      for (int j = 0; j < QUAD; j++) {
        if (j >= count) continue;
        if (!is_finite(x[j])) {
          if (round == 0) atomicMin(bad, (u64)token * experts + first + j);
          x[j] = 0;
        }
        if (!(gone >> (bit + j) & 1)) consider(top, x[j], first + j);
      }
    }
    top = lanes_best(top, lanes);
    if (round == 0) most = top.value;

    double sum = 0, all = 0;
    int kept = 0;
    Best winner = nothing();
    bit = 0;
    for (int first = lane * QUAD; first < experts; first += stride, bit += QUAD) {
      int count = live ? quad_count(first, experts) : 0;
      if (again) load_quad(x, logits_E + first, count, whole && live);
      bool keep[QUAD];
      bool any = false;
#pragma unroll
      for (int j = 0; j < QUAD; j++) {
        if (again && !is_finite(x[j])) x[j] = 0;
        if (round == 0 && j < count) all += exp((double)x[j] - most);
        keep[j] = sampling && j < count && !(gone >> (bit + j) & 1) && keeps(maskRule, x[j], top.value, epsilon);
        any |= keep[j];
        kept += keep[j];
        if (keep[j]) sum += exp((double)x[j] - top.value);
      }
      // As in route.
      if (training && any) {
        Words words = draw_block(draws, token, PURPOSE_EXPONENTIAL + round, first / QUAD);
#pragma unroll
        for (int j = 0; j < QUAD; j++) {
          if (keep[j]) consider(winner, __dsub_rn(x[j], log(-log(uniform(words.w[j])))), first + j);
        }
      }
    }
    int chosen = top.index;
    if (sampling) {
      sum = lanes_sum(sum, lanes);
      kept = lanes_sum(kept, lanes);
      winner = lanes_best(winner, lanes);
      if (training) chosen = winner.index;
    }
    if (round == 0) {
      all = lanes_sum(all, lanes);
      for (int first = lane * QUAD; first < experts; first += stride) {
        int count = live ? quad_count(first, experts) : 0;
        if (again) load_quad(x, logits_E + first, count, whole && live);
        float p[QUAD];
#pragma unroll
        for (int j = 0; j < QUAD; j++) p[j] = is_finite(x[j]) ? (float)(exp((double)x[j] - most) / all) : 0;
        store_quad(p_E + first, p, count, whole && live);
      }
    }
    if (!live) continue;

    if (chosen / QUAD % lanes == lane) gone |= 1u << (chosen / stride * QUAD + chosen % QUAD);
    if (sampling) {
      if (lane == 0) {
        float logit = logits_E[chosen];
        double p = exp((is_finite(logit) ? (double)logit : 0) - top.value) / sum;
        double scale = training ? detached_scale(scaleRule, chosen == top.index, draws, token, round) : 1;
        scale_S[slot + round] = (float)scale;
        multiplier_S[slot + round] = (float)(scale * p);
        best_S[slot + round] = (float)top.value;
        sum_S[slot + round] = sum;
      }
    } else {
      shared += exp(top.value - most);
    }
    if (lane == 0) {
      expert_S[slot + round] = chosen;
      if (round == 0) alive_T[token] = sampling ? kept > 1 : experts > 1;
    }
  }
  if (sampling || !live || lane > 0) return;
  for (int round = 0; round < k; round++) {
    float logit = logits_E[expert_S[slot + round]];
    scale_S[slot + round] = 1;
    multiplier_S[slot + round] = (float)(exp((is_finite(logit) ? (double)logit : 0) - most) / shared);
  }
}

// <<<ceil(T * E / 256), 256, 0>>> An even load whatever the logits are, for measurements: slot s to expert s mod E.
extern "C" __global__ void __launch_bounds__(256)
    forced(int* expert_S, float* multiplier_S, float* scale_S, unsigned char* alive_T, float* p_TE, int tokens,
           int experts, int k) {
  after_previous();
  u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= (u64)tokens * experts) return;
  p_TE[i] = 1.0f / experts;
  if (i < (u64)tokens) alive_T[i] = experts > 1;
  if (i < (u64)tokens * k) {
    expert_S[i] = (int)(i % experts);
    multiplier_S[i] = 1;
    scale_S[i] = 1;
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
    stats_parts(double* part, const float* p_TE, const float* used_TE, const unsigned char* alive_T, int tokens,
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
  // The same number of turns for every lane: they exchange what they have.
  for (int base = begin; used_TE && base < end; base += step) {
    int token = base + own;
    double lse = log_sum_exp(used_TE + (u64)min(token, end - 1) * experts, experts, lane, lanes, whole);
    if (token < end && lane == 0) z += lse * lse;
  }
  for (int token = begin + threadIdx.x; token < end; token += blockDim.x) alive += alive_T[token];
  z = block_sum(z, scratch);
  alive = block_sum(alive, scratch);
  if (threadIdx.x == 0) {
    out[experts] = z;
    out[experts + 1] = alive;
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

// ---------------------------------------------------------------- gradient of the logits

// What flows through the outputs of a token's experts: of one, or of several slots.
enum Flow { ONE, ROUNDS, SHARES };

// Slots as route and route_slots made them, s as the backward pass of combine did; zero where a slot was dropped.
struct Slots {
  const int* expert_S;
  const float* multiplier_S;
  const float* s_S;
  const float* best_S;
  const double* sum_S;
  int k;
  int maskRule;
  double epsilon;
};

// dLogits of four experts from `first` on: each round has a softmax of its own,
//
//   dLogits_j += kappa s_r p_r[D_r] (1[j = D_r] - p_r[j])
DEVICE void flow_of_rounds(double* flow, const Slots& slots, u64 slot, const float* logits_E, const float* x, int first,
                           int count, double kappa) {
  u32 gone = 0;
  for (int round = 0; round < slots.k; round++) {
    int chosen = slots.expert_S[slot + round];
    double best = slots.best_S[slot + round], sum = slots.sum_S[slot + round];
    double c = kappa * slots.s_S[slot + round] * (exp(logits_E[chosen] - best) / sum);
#pragma unroll
    for (int j = 0; j < QUAD; j++) {
      if (j >= count || gone >> j & 1 || !keeps(slots.maskRule, x[j], best, slots.epsilon)) continue;
      double p = exp(x[j] - best) / sum;
      if (first + j == chosen) {
        flow[j] += c * (1 - p);
        gone |= 1u << j;
      } else {
        flow[j] -= c * p;
      }
    }
  }
}

// The same where w = scale p / sum of the chosen p:  dLogits_D += w_D (s_D - sum_i w_i s_i / scale)
DEVICE void flow_of_shares(double* flow, const Slots& slots, u64 slot, int first, int count, double scale) {
  double mean = 0;
  for (int r = 0; r < slots.k; r++) mean += (double)slots.multiplier_S[slot + r] * slots.s_S[slot + r];
  mean /= scale;
  for (int r = 0; r < slots.k; r++) {
    int chosen = slots.expert_S[slot + r];
#pragma unroll
    for (int j = 0; j < QUAD; j++) {
      if (first + j == chosen) flow[j] += slots.multiplier_S[slot + r] * (slots.s_S[slot + r] - mean);
    }
  }
}

// With D the expert of a token, m = p_D, u its jitter (jitter_TE null: ones) and f the experts' load:
//
//   dLogits_j = u_j (kappa s m (1[j = D] - p_j) + balanceFactor p_j (f_j - sum_i p_i f_i)
//                    + zFactor lse exp(logit_j - lse))
//
// and of several slots what is said above in place of the first part, with `kappa` the scale of shares.
// balanceFactor = coefficient * E / tokens of the step, zFactor = 2 * coefficient / tokens of the step; used_TE
// may be null where zFactor is zero and there are no rounds.
template <Flow FLOW>
DEVICE void gradient(float* dLogits_TE, const float* p_TE, const float* used_TE, const float* jitter_TE,
                     const Slots& slots, const double* load_E, int tokens, int experts, double kappa,
                     double balanceFactor, double zFactor) {
  int lanes = lanes_of(experts);
  int lane = threadIdx.x % lanes;
  int stride = lanes * QUAD;
  u64 wide = ((u64)blockIdx.x * blockDim.x + threadIdx.x) / lanes;
  bool live = wide < (u64)tokens;
  // Lanes without a token go along with the last one, so that all can exchange what they have.
  int token = live ? (int)wide : tokens - 1;
  u64 row = (u64)token * experts;
  bool whole = experts % QUAD == 0 && aligned(dLogits_TE) && aligned(p_TE) && aligned(used_TE) && aligned(jitter_TE);
  int chosen = FLOW == ONE ? slots.expert_S[token] : -1;

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
  if constexpr (FLOW == ONE) {
    own = lanes_sum(own, lanes);
    others = lanes_sum(others, lanes);
  }
  mean = lanes_sum(mean, lanes);
  double lse = zFactor != 0 ? log_sum_exp(used_TE + row, experts, lane, lanes, whole) : 0;
  if (!live) return;

  double c = FLOW == ONE ? kappa * slots.s_S[token] * own : 0;
  for (int first = lane * QUAD; first < experts; first += stride) {
    int count = quad_count(first, experts);
    if (experts > stride) load_quad(p, p_TE + row + first, count, whole);
    if (zFactor != 0 || FLOW == ROUNDS) load_quad(x, used_TE + row + first, count, whole);
    if (jitter_TE) load_quad(u, jitter_TE + row + first, count, whole);
    double flow[QUAD] = {};
    if constexpr (FLOW == ROUNDS) {
      flow_of_rounds(flow, slots, (u64)token * slots.k, used_TE + row, x, first, count, kappa);
    } else if constexpr (FLOW == SHARES) {
      flow_of_shares(flow, slots, (u64)token * slots.k, first, count, kappa);
    }
    float gradient[QUAD];
#pragma unroll
    for (int j = 0; j < QUAD; j++) {
      if (j >= count) continue;
      double sum = FLOW != ONE ? flow[j] : first + j == chosen ? c * others : -c * p[j];
      sum += balanceFactor * p[j] * (load_E[first + j] - mean);
      if (zFactor != 0) sum += zFactor * lse * exp(x[j] - lse);
      gradient[j] = (float)(sum * u[j]);
    }
    store_quad(dLogits_TE + row + first, gradient, count, whole);
  }
}

// All <<<ceil(T * LANES(E) / 256), 256, 0>>>
extern "C" __global__ void __launch_bounds__(256)
    logits_gradient(float* dLogits_TE, const float* p_TE, const float* used_TE, const float* jitter_TE, Slots slots,
                    const double* load_E, int tokens, int experts, double kappa, double balanceFactor, double zFactor) {
  after_previous();
  gradient<ONE>(dLogits_TE, p_TE, used_TE, jitter_TE, slots, load_E, tokens, experts, kappa, balanceFactor, zFactor);
}
extern "C" __global__ void __launch_bounds__(256)
    logits_gradient_rounds(float* dLogits_TE, const float* p_TE, const float* used_TE, const float* jitter_TE,
                           Slots slots, const double* load_E, int tokens, int experts, double kappa,
                           double balanceFactor, double zFactor) {
  after_previous();
  gradient<ROUNDS>(dLogits_TE, p_TE, used_TE, jitter_TE, slots, load_E, tokens, experts, kappa, balanceFactor, zFactor);
}
extern "C" __global__ void __launch_bounds__(256)
    logits_gradient_shares(float* dLogits_TE, const float* p_TE, const float* used_TE, const float* jitter_TE,
                           Slots slots, const double* load_E, int tokens, int experts, double scale,
                           double balanceFactor, double zFactor) {
  after_previous();
  gradient<SHARES>(dLogits_TE, p_TE, used_TE, jitter_TE, slots, load_E, tokens, experts, scale, balanceFactor, zFactor);
}

// The gate of a mixture-of-experts layer: experts and multipliers of every token, sums for the losses, and the
// gradient of the logits.
//
//   route                       one expert a token: Switch, SparseMixer, REINFORCE
//   route_slots                 several: rounds of SparseMixer-v2, the best of a softmax
//   route_biased                several: the best by score and bias of the best groups, DeepSeek-V3
//   route_pair, share_placed    the best and perhaps a second one, GShard
//   look_up                     one by the token's number
//   forced                      an even load
//   stats_parts, stats_total    what the losses and the log need
//   gradient_of_...             one expert, or several slots by how they are weighed
//   directions_...              the matrix of XMoE's router, and its gradient
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

// SAMPLE: as SparseMixer, at weight one.
enum Kind { SWITCH = 0, SPARSEMIXER = 1, SAMPLE = 2 };
enum Score { SOFTMAX = 0, SIGMOID = 1 };
enum Second { SECOND_BEST = 0, SECOND_SAMPLED = 1, SECOND_RANDOM = 2, SECOND_THRESHOLD = 3 };
enum Mask { MASK_NONE = 0, MASK_CODE = 1, MASK_PAPER = 2 };

// troupe.router.gate.QuadratureScale: with no node any scale, else node i where a draw is above upTo of those before.
struct Scale {
  int fullBest;
  int evenly;
  int count;
  double node[MAX_NODES];
  double upTo[MAX_NODES];
};

// Structures are laid out as RoutingStructures writes them.

// A routing: what a gate reads and writes. Arrays that it has no use for are null.
struct Routing {
  const float* logits_TE;
  // ~expert where a slot was left out, which has no row.
  int* expert_S;
  float* multiplier_S;
  float* scale_S;
  // What the backward pass of combine found; zero where a slot was dropped.
  const float* s_S;
  unsigned char* alive_T;
  float* p_TE;
  // Logits and their factors in training with jitter of logits.
  float* used_TE;
  float* jitter_TE;
  // Of each round of SparseMixer-v2: the largest logit, and the sum of exp(logit - best) over what its mask kept.
  float* best_S;
  double* sum_S;
  // Must hold all ones before; comes to hold token * E + expert of the first logit that is not finite, by token and
  // then by expert.
  u64* bad;
  int tokens;
  int experts;
  int k;
};
static_assert(sizeof(Routing) == 112, "RoutingStructures.routing");

// How a gate draws, and from what.
struct Sampling {
  Draws draws;
  double epsilon;
  int maskRule;
  int training;
  Scale scale;
};
static_assert(sizeof(Sampling) == 1640, "RoutingStructures.sampling");

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
extern "C" __global__ void __launch_bounds__(256)
    route(const __grid_constant__ Routing r, const __grid_constant__ Sampling how, int kind) {
  after_previous();
  const Draws& draws = how.draws;
  const float* logits_TE = r.logits_TE;
  float *p_TE = r.p_TE, *used_TE = r.used_TE, *jitter_TE = r.jitter_TE;
  int tokens = r.tokens, experts = r.experts;
  double epsilon = how.epsilon;
  int lanes = lanes_of(experts);
  int lane = threadIdx.x % lanes;
  int stride = lanes * QUAD;
  u64 wide = ((u64)blockIdx.x * blockDim.x + threadIdx.x) / lanes;
  bool live = wide < (u64)tokens;
  int token = live ? (int)wide : 0;
  u64 row = (u64)token * experts;
  bool sparse = kind != SWITCH;
  bool jittered = !sparse && how.training && epsilon > 0;
  bool sampled = sparse && how.training;
  int maskRule = sparse ? how.maskRule : MASK_NONE;
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
      if (!is_finite(x[j])) atomicMin(r.bad, row + first + j);
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
        double scale = sampled ? detached_scale(how.scale, chosen == top.index, draws, token, 0) : 1;
        r.expert_S[token] = chosen;
        r.alive_T[token] = kept > 1;
        r.scale_S[token] = (float)scale;
        r.multiplier_S[token] = kind == SAMPLE ? 1 : (float)__dmul_rn(scale, p);
      }
    }
    store_quad(p_TE + row + first, x, count, whole);
  }
}

// <<<ceil(T * LANES(E) / 256), 256, 0>>>
//
// k rounds, each without the experts chosen before. `sampling`: a round is that of SparseMixer-v2, a sample from a
// masked softmax in training, else the best, at the probability that it has in its round. Otherwise it takes the best,
// and experts share by their probabilities. p_TE is the softmax over all either way.
extern "C" __global__ void __launch_bounds__(256)
    route_slots(const __grid_constant__ Routing r, const __grid_constant__ Sampling how, int sampling) {
  after_previous();
  const Draws& draws = how.draws;
  int tokens = r.tokens, experts = r.experts, k = r.k;
  int training = how.training;
  int lanes = lanes_of(experts);
  int lane = threadIdx.x % lanes;
  int stride = lanes * QUAD;
  u64 wide = ((u64)blockIdx.x * blockDim.x + threadIdx.x) / lanes;
  bool live = wide < (u64)tokens;
  int token = live ? (int)wide : 0;
  const float* logits_E = r.logits_TE + (u64)token * experts;
  float* p_E = r.p_TE + (u64)token * experts;
  u64 slot = (u64)token * k;
  bool whole = experts % QUAD == 0 && aligned(r.logits_TE) && aligned(r.p_TE);
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
          if (round == 0) atomicMin(r.bad, (u64)token * experts + first + j);
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
        keep[j] = sampling && j < count && !(gone >> (bit + j) & 1) &&
                  keeps(how.maskRule, x[j], top.value, how.epsilon);
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
        double scale = training ? detached_scale(how.scale, chosen == top.index, draws, token, round) : 1;
        r.scale_S[slot + round] = (float)scale;
        r.multiplier_S[slot + round] = (float)(scale * p);
        r.best_S[slot + round] = (float)top.value;
        r.sum_S[slot + round] = sum;
      }
    } else {
      shared += exp(top.value - most);
    }
    if (lane == 0) {
      r.expert_S[slot + round] = chosen;
      if (round == 0) r.alive_T[token] = sampling ? kept > 1 : experts > 1;
    }
  }
  if (sampling || !live || lane > 0) return;
  for (int round = 0; round < k; round++) {
    float logit = logits_E[r.expert_S[slot + round]];
    r.scale_S[slot + round] = 1;
    r.multiplier_S[slot + round] = (float)(exp((is_finite(logit) ? (double)logit : 0) - most) / shared);
  }
}

// ---------------------------------------------------------------- route_biased

// troupe.core.math.Exp for what is at most 708, with its bits.
DEVICE double exp_of_host(double x) {
  if (x < -745.2) return 0;
  double n = __dsub_rn(__fma_rn(x, 0x1.71547652b82fep0, 0x1.8p52), 0x1.8p52);
  double r = __fma_rn(n, -0x1.a39ef35793c76p-33, __fma_rn(n, -0x1.62e42feep-1, x));
  double p = __fma_rn(r, 0x1.ad7f6f0e24922p-26, 0x1.28ad72cd4ab37p-22);
  p = __fma_rn(p, r, 0x1.71df255235e0bp-19);
  p = __fma_rn(p, r, 0x1.a0199a0c66195p-16);
  p = __fma_rn(p, r, 0x1.a01a012a57b5ep-13);
  p = __fma_rn(p, r, 0x1.6c16c1842a126p-10);
  p = __fma_rn(p, r, 0x1.1111111127be5p-7);
  p = __fma_rn(p, r, 0x1.555555555087cp-5);
  p = __fma_rn(p, r, 0x1.55555555554fap-3);
  p = __fma_rn(p, r, 0x1.000000000000ap-1);
  return scalbn(__dadd_rn(__fma_rn(p, __dmul_rn(r, r), r), 1.0), (int)n);
}
// troupe.core.math.Sigmoid, with its bits.
DEVICE double sigmoid(double x) {
  return __ddiv_rn(1.0, __dadd_rn(exp_of_host(fmin(fmax(-x, -708.0), 708.0)), 1.0));
}
// What a logit counts for before it is divided by the sum of all.
DEVICE double weight_of(int score, double logit, double most) {
  return score == SIGMOID ? sigmoid(logit) : exp_of_host(__dsub_rn(logit, most));
}
// In the order of troupe.router.gate.Rows.
DEVICE double sum_by_fours(const double* x_E, int experts) {
  double a = 0, b = 0, c = 0, d = 0;
  int e = 0;
  for (; e + QUAD <= experts; e += QUAD) {
    a = __dadd_rn(a, x_E[e]);
    b = __dadd_rn(b, x_E[e + 1]);
    c = __dadd_rn(c, x_E[e + 2]);
    d = __dadd_rn(d, x_E[e + 3]);
  }
  double sum = __dadd_rn(__dadd_rn(a, b), __dadd_rn(c, d));
  for (; e < experts; e++) sum = __dadd_rn(sum, x_E[e]);
  return sum;
}

// Takes the experts of all but the `kept` best groups away, in the order of troupe.router.gate.BestGroups. An expert
// belongs to the lane that looks at it in the rounds, a group to lane g mod lanes.
DEVICE void leave_best_groups(double* biased_E, double* score_G, int experts, int groups, int kept, int lane,
                              int lanes) {
  int size = experts / groups;
  __syncwarp();
  for (int g = lane; g < groups; g += lanes) {
    double most = -(double)INF, second = -(double)INF;
    for (int e = g * size; e < (g + 1) * size; e++) {
      double x = biased_E[e];
      second = fmax(second, fmin(most, x));
      most = fmax(most, x);
    }
    score_G[g] = size == 1 ? most : __dadd_rn(most, second);
  }
  for (int i = 0; i < kept; i++) {
    Best best = nothing();
    for (int g = lane; g < groups; g += lanes) consider(best, score_G[g], g);
    best = lanes_best(best, lanes);
    if (best.index % lanes == lane) score_G[best.index] = -(double)INF;
  }
  __syncwarp();
  for (int first = lane * QUAD; first < experts; first += lanes * QUAD) {
    for (int e = first; e < min(first + QUAD, experts); e++) {
      // What was taken away is kept.
      if (score_G[e / size] > -(double)INF) biased_E[e] = -(double)INF;
    }
  }
}

// <<<ceil(T * LANES(E) / 128), 128, 8 * (E + groups) * 128 / LANES(E)>>>
//
// The k best by score + bias of the `topGroups` best groups of neighbours. Sigmoids weigh `factor` times what they are
// over the sum of those chosen, probabilities `factor` times what they are; the bias, null for none, weighs nothing.
// p_TE is scores over the sum of all of them.
extern "C" __global__ void __launch_bounds__(128)
    route_biased(const __grid_constant__ Routing r, const float* bias_E, int score, int groups, int topGroups,
                 double factor) {
  after_previous();
  extern __shared__ double scores[];
  int experts = r.experts;
  int lanes = lanes_of(experts);
  int lane = threadIdx.x % lanes;
  int stride = lanes * QUAD;
  u64 wide = ((u64)blockIdx.x * blockDim.x + threadIdx.x) / lanes;
  bool live = wide < (u64)r.tokens;
  // Lanes without a token go along with the last one, so that all can exchange what they have.
  int token = live ? (int)wide : r.tokens - 1;
  u64 row = (u64)token * experts;
  bool whole = experts % QUAD == 0 && aligned(r.logits_TE) && aligned(r.p_TE);
  double* biased_E = scores + (u64)(threadIdx.x / lanes) * (experts + groups);

  // One that is not finite stands as zero: it is reported, and what follows need only be safe.
  float x[QUAD];
  double most = -(double)INF;
  for (int first = lane * QUAD; first < experts; first += stride) {
    int count = quad_count(first, experts);
    load_quad(x, r.logits_TE + row + first, count, whole);
#pragma unroll
    for (int j = 0; j < QUAD; j++) {
      if (j >= count) continue;
      if (!is_finite(x[j])) {
        atomicMin(r.bad, row + first + j);
        x[j] = 0;
      }
      biased_E[first + j] = x[j];
      most = fmax(most, (double)x[j]);
    }
  }
  most = lanes_max(most, lanes);

  double sum = 0;
  for (int first = lane * QUAD; first < experts; first += stride) {
    for (int e = first; e < min(first + QUAD, experts); e++) {
      double weight = weight_of(score, biased_E[e], most);
      biased_E[e] = weight;
      sum += weight;
    }
  }
  __syncwarp();
  sum = score == SIGMOID ? lanes_sum(sum, lanes) : sum_by_fours(biased_E, experts);
  __syncwarp();
  double inverse = __ddiv_rn(1.0, sum);
  for (int first = lane * QUAD; first < experts; first += stride) {
    int count = quad_count(first, experts);
#pragma unroll
    for (int j = 0; j < QUAD; j++) {
      if (j >= count) continue;
      double weight = biased_E[first + j], p = __dmul_rn(weight, inverse);
      float bias = bias_E ? bias_E[first + j] : 0;
      biased_E[first + j] = __dadd_rn(score == SIGMOID ? weight : p, is_finite(bias) ? (double)bias : 0);
      x[j] = (float)p;
    }
    if (live) store_quad(r.p_TE + row + first, x, count, whole);
  }
  if (topGroups < groups) leave_best_groups(biased_E, biased_E + experts, experts, groups, topGroups, lane, lanes);

  u64 slot = (u64)token * r.k;
  double shared = 0;
  for (int round = 0; round < r.k; round++) {
    Best best = nothing();
    for (int first = lane * QUAD; first < experts; first += stride) {
      for (int e = first; e < min(first + QUAD, experts); e++) consider(best, biased_E[e], e);
    }
    int chosen = lanes_best(best, lanes).index;
    if (chosen / QUAD % lanes == lane) biased_E[chosen] = -(double)INF;
    float logit = r.logits_TE[row + chosen];
    double weight = weight_of(score, is_finite(logit) ? (double)logit : 0, most);
    shared += weight;
    if (live && lane == 0) r.expert_S[slot + round] = chosen;
  }
  __syncwarp();
  if (!live) return;
  if (lane == 0) r.alive_T[token] = experts > 1;
  for (int round = lane; round < r.k; round += lanes) {
    float logit = r.logits_TE[row + r.expert_S[slot + round]];
    double weight = weight_of(score, is_finite(logit) ? (double)logit : 0, most);
    r.scale_S[slot + round] = 1;
    r.multiplier_S[slot + round] = (float)(factor * (weight / (score == SIGMOID ? shared : sum)));
  }
}

// ---------------------------------------------------------------- route_pair

// <<<ceil(T * LANES(E) / 256), 256, 0>>>
//
// The best expert of a softmax and, of two experts at least, another one, which may be left out in training: its
// share then still counts among the weights. `placed`: those that get a row share by their probabilities, which
// stand for weights until share_placed knows; otherwise both do. first_E must be zeros before; it comes to count
// first choices.
extern "C" __global__ void __launch_bounds__(256)
    route_pair(const __grid_constant__ Routing r, const __grid_constant__ Sampling how, int* first_E, int second,
               int placed) {
  after_previous();
  int experts = r.experts;
  int lanes = lanes_of(experts);
  int lane = threadIdx.x % lanes;
  int stride = lanes * QUAD;
  u64 wide = ((u64)blockIdx.x * blockDim.x + threadIdx.x) / lanes;
  bool live = wide < (u64)r.tokens;
  // Lanes without a token go along with the last one, so that all can exchange what they have.
  int token = live ? (int)wide : r.tokens - 1;
  u64 row = (u64)token * experts;
  bool whole = experts % QUAD == 0 && aligned(r.logits_TE) && aligned(r.p_TE);
  bool sampled = how.training && second == SECOND_SAMPLED;

  // One that is not finite stands as zero: it is reported, and what follows need only be safe.
  float x[QUAD];
  Best top = nothing();
  for (int first = lane * QUAD; first < experts; first += stride) {
    int count = quad_count(first, experts);
    load_quad(x, r.logits_TE + row + first, count, whole);
#pragma unroll
    for (int j = 0; j < QUAD; j++) {
      if (j >= count) continue;
      if (!is_finite(x[j])) atomicMin(r.bad, row + first + j);
      consider(top, is_finite(x[j]) ? x[j] : 0, first + j);
    }
  }
  top = lanes_best(top, lanes);

  double sum = 0;
  Best other = nothing();
  for (int first = lane * QUAD; first < experts; first += stride) {
    int count = quad_count(first, experts);
    load_quad(x, r.logits_TE + row + first, count, whole);
    Words words = {};
    if (sampled) words = draw_block(how.draws, token, PURPOSE_EXPONENTIAL, first / QUAD);
#pragma unroll
    for (int j = 0; j < QUAD; j++) {
      if (j >= count) continue;
      double logit = is_finite(x[j]) ? x[j] : 0;
      sum += exp(logit - top.value);
      if (first + j == top.index) continue;
      consider(other, sampled ? __dsub_rn(logit, log(-log(uniform(words.w[j])))) : logit, first + j);
    }
  }
  sum = lanes_sum(sum, lanes);
  other = lanes_best(other, lanes);
  if (!live) return;

  for (int first = lane * QUAD; first < experts; first += stride) {
    int count = quad_count(first, experts);
    load_quad(x, r.logits_TE + row + first, count, whole);
#pragma unroll
    for (int j = 0; j < QUAD; j++) x[j] = is_finite(x[j]) ? (float)(exp(x[j] - top.value) / sum) : 0;
    store_quad(r.p_TE + row + first, x, count, whole);
  }
  if (lane > 0) return;

  float logit = r.logits_TE[row + other.index];
  double one = 1 / sum, two = exp((is_finite(logit) ? (double)logit : 0) - top.value) / sum;
  // Divisor.PADDED_SUM.
  double padded = one + two + 1e-9;
  bool keep = true;
  if (how.training && second >= SECOND_RANDOM) {
    double coin = draw_single(how.draws, token, PURPOSE_COIN);
    double share = two / padded;
    keep = second == SECOND_RANDOM ? 2 * (placed ? two : share) > coin : coin < share / 0.2;
  }
  u64 slot = 2 * (u64)token;
  r.expert_S[slot] = top.index;
  r.expert_S[slot + 1] = keep ? other.index : ~other.index;
  r.multiplier_S[slot] = (float)(placed ? one : one / padded);
  r.multiplier_S[slot + 1] = (float)(placed ? two : two / padded);
  r.scale_S[slot] = r.scale_S[slot + 1] = 1;
  r.alive_T[token] = 1;
  atomicAdd(first_E + top.index, 1);
}

// <<<ceil(T / 256), 256, 0>>> After place: Divisor.FLOORED_SUM of the slots that have a row.
extern "C" __global__ void __launch_bounds__(256)
    share_placed(const __grid_constant__ Routing r, const int* rowOfSlot_S) {
  after_previous();
  u64 token = (u64)blockIdx.x * blockDim.x + threadIdx.x;
  if (token >= (u64)r.tokens) return;
  u64 slot = 2 * token;
  double one = rowOfSlot_S[slot] < 0 ? 0 : r.multiplier_S[slot];
  double two = rowOfSlot_S[slot + 1] < 0 ? 0 : r.multiplier_S[slot + 1];
  double sum = fmax(one + two, 0x1p-52);
  r.multiplier_S[slot] = (float)(one / sum);
  r.multiplier_S[slot + 1] = (float)(two / sum);
}

// <<<ceil(T * E / 256), 256, 0>>> The expert that a table has for a token's number in the vocabulary, whatever the
// logits are: nobody else could have been chosen.
extern "C" __global__ void __launch_bounds__(256)
    look_up(const __grid_constant__ Routing r, const int* id_T, const float* expert_V) {
  after_previous();
  u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= (u64)r.tokens * r.experts) return;
  int token = (int)(i / r.experts), e = (int)(i % r.experts);
  int expert = (int)expert_V[id_T[token]];
  r.p_TE[i] = e == expert;
  if (e > 0) return;
  r.expert_S[token] = expert;
  r.multiplier_S[token] = 1;
  r.scale_S[token] = 1;
  r.alive_T[token] = 0;
}

// <<<ceil(T * E / 256), 256, 0>>> An even load whatever the logits are, for measurements: slot s to expert s mod E.
extern "C" __global__ void __launch_bounds__(256) forced(const __grid_constant__ Routing r) {
  after_previous();
  u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= (u64)r.tokens * r.experts) return;
  r.p_TE[i] = 1.0f / r.experts;
  if (i < (u64)r.tokens) r.alive_T[i] = r.experts > 1;
  if (i < (u64)r.tokens * r.k) {
    r.expert_S[i] = (int)(i % r.experts);
    r.multiplier_S[i] = 1;
    r.scale_S[i] = 1;
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

// What flows through the outputs of a token's experts: of one, or of several slots by how they are weighed.
enum Flow { ONE, ROUNDS, SHARES, SIGMOIDS, PROBABILITIES };

// What is asked for. balanceFactor = coefficient * E / tokens of the step, zFactor = 2 * coefficient / tokens of the
// step, load_E the experts' load; kappa is the factor on the gradient, or that on weights which share.
struct Gradient {
  float* dLogits_TE;
  const double* load_E;
  // What a choice by itself is to blame for, token by token; null for nothing.
  const double* advantage_T;
  double kappa;
  double balanceFactor;
  double zFactor;
  double epsilon;
  int maskRule;
};
static_assert(sizeof(Gradient) == 64, "RoutingStructures.gradient");

// dLogits of four experts from `first` on: each round has a softmax of its own,
//
//   dLogits_j += kappa s_r p_r[D_r] (1[j = D_r] - p_r[j])
DEVICE void flow_of_rounds(double* flow, const Routing& r, const Gradient& g, u64 slot, const float* logits_E,
                           const float* x, int first, int count) {
  u32 gone = 0;
  for (int round = 0; round < r.k; round++) {
    int chosen = r.expert_S[slot + round];
    double best = r.best_S[slot + round], sum = r.sum_S[slot + round];
    double c = g.kappa * r.s_S[slot + round] * (exp(logits_E[chosen] - best) / sum);
#pragma unroll
    for (int j = 0; j < QUAD; j++) {
      if (j >= count || gone >> j & 1 || !keeps(g.maskRule, x[j], best, g.epsilon)) continue;
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

// The same of weights w that are
//
//   SHARES          kappa p / sum of the chosen p    dLogits_D += w_D (s_D - sum_i w_i s_i / kappa)
//   SIGMOIDS        the same of sigmoids q           dLogits_D += w_D (s_D - sum_i w_i s_i / kappa) (1 - q_D)
//   PROBABILITIES   kappa p                          dLogits_j += w_j s_j [if chosen] - p_j sum_i w_i s_i
template <Flow FLOW>
DEVICE void flow_of_weights(double* flow, const Routing& r, u64 slot, const float* logits_E, const float* p, int first,
                            double kappa) {
  double inner = 0;
  for (int i = 0; i < r.k; i++) inner += (double)r.multiplier_S[slot + i] * r.s_S[slot + i];
  double mean = FLOW == PROBABILITIES ? 0 : inner / kappa;
  for (int i = 0; i < r.k; i++) {
    int expert = r.expert_S[slot + i];
    int chosen = expert < 0 ? ~expert : expert;
#pragma unroll
    for (int j = 0; j < QUAD; j++) {
      if (first + j != chosen) continue;
      double own = r.multiplier_S[slot + i] * (r.s_S[slot + i] - mean);
      flow[j] += FLOW == SIGMOIDS ? own * sigmoid(-(double)logits_E[chosen]) : own;
    }
  }
  if constexpr (FLOW == PROBABILITIES) {
#pragma unroll
    for (int j = 0; j < QUAD; j++) flow[j] -= inner * p[j];
  }
}

// With D the expert of a token, m = p_D, u its jitter (jitter_TE null: ones) and f the experts' load:
//
//   dLogits_j = u_j ((kappa s m + advantage) (1[j = D] - p_j) + balanceFactor p_j (f_j - sum_i p_i f_i)
//                    + zFactor lse exp(logit_j - lse))
//
// and of several slots what is said above in place of the first part.
template <Flow FLOW>
DEVICE void gradient(const Routing& r, const Gradient& g) {
  const float* used_TE = r.used_TE ? r.used_TE : r.logits_TE;
  int experts = r.experts;
  int lanes = lanes_of(experts);
  int lane = threadIdx.x % lanes;
  int stride = lanes * QUAD;
  u64 wide = ((u64)blockIdx.x * blockDim.x + threadIdx.x) / lanes;
  bool live = wide < (u64)r.tokens;
  // Lanes without a token go along with the last one, so that all can exchange what they have.
  int token = live ? (int)wide : r.tokens - 1;
  u64 row = (u64)token * experts;
  u64 slot = (u64)token * r.k;
  bool whole = experts % QUAD == 0 && aligned(g.dLogits_TE) && aligned(r.p_TE) && aligned(used_TE) &&
               aligned(r.jitter_TE);
  int chosen = FLOW == ONE ? r.expert_S[token] : -1;

  // 1 - p_D as the sum of the others: where p_D is close to one, rounding it to float32 has left nothing else.
  double own = 0, others = 0, mean = 0;
  float p[QUAD], x[QUAD], u[QUAD] = {1, 1, 1, 1};
  for (int first = lane * QUAD; first < experts; first += stride) {
    int count = quad_count(first, experts);
    load_quad(p, r.p_TE + row + first, count, whole);
#pragma unroll
    for (int j = 0; j < QUAD; j++) {
      if (j >= count) continue;
      if (first + j == chosen) {
        own = p[j];
      } else {
        others += p[j];
      }
      mean += p[j] * g.load_E[first + j];
    }
  }
  if constexpr (FLOW == ONE) {
    own = lanes_sum(own, lanes);
    others = lanes_sum(others, lanes);
  }
  mean = lanes_sum(mean, lanes);
  double lse = g.zFactor != 0 ? log_sum_exp(used_TE + row, experts, lane, lanes, whole) : 0;
  if (!live) return;

  double c = FLOW == ONE ? g.kappa * r.s_S[token] * own : 0;
  if (FLOW == ONE && g.advantage_T) c += g.advantage_T[token];
  for (int first = lane * QUAD; first < experts; first += stride) {
    int count = quad_count(first, experts);
    if (experts > stride) load_quad(p, r.p_TE + row + first, count, whole);
    if (g.zFactor != 0 || FLOW == ROUNDS) load_quad(x, used_TE + row + first, count, whole);
    if (r.jitter_TE) load_quad(u, r.jitter_TE + row + first, count, whole);
    double flow[QUAD] = {};
    if constexpr (FLOW == ROUNDS) {
      flow_of_rounds(flow, r, g, slot, used_TE + row, x, first, count);
    } else if constexpr (FLOW != ONE) {
      flow_of_weights<FLOW>(flow, r, slot, used_TE + row, p, first, g.kappa);
    }
    float gradient[QUAD];
#pragma unroll
    for (int j = 0; j < QUAD; j++) {
      if (j >= count) continue;
      double sum = FLOW != ONE ? flow[j] : first + j == chosen ? c * others : -c * p[j];
      sum += g.balanceFactor * p[j] * (g.load_E[first + j] - mean);
      if (g.zFactor != 0) sum += g.zFactor * lse * exp(x[j] - lse);
      gradient[j] = (float)(sum * u[j]);
    }
    store_quad(g.dLogits_TE + row + first, gradient, count, whole);
  }
}

// All <<<ceil(T * LANES(E) / 256), 256, 0>>>
extern "C" __global__ void __launch_bounds__(256)
    gradient_of_one(const __grid_constant__ Routing r, const __grid_constant__ Gradient g) {
  after_previous();
  gradient<ONE>(r, g);
}
extern "C" __global__ void __launch_bounds__(256)
    gradient_of_rounds(const __grid_constant__ Routing r, const __grid_constant__ Gradient g) {
  after_previous();
  gradient<ROUNDS>(r, g);
}
extern "C" __global__ void __launch_bounds__(256)
    gradient_of_shares(const __grid_constant__ Routing r, const __grid_constant__ Gradient g) {
  after_previous();
  gradient<SHARES>(r, g);
}
extern "C" __global__ void __launch_bounds__(256)
    gradient_of_sigmoids(const __grid_constant__ Routing r, const __grid_constant__ Gradient g) {
  after_previous();
  gradient<SIGMOIDS>(r, g);
}
extern "C" __global__ void __launch_bounds__(256)
    gradient_of_probabilities(const __grid_constant__ Routing r, const __grid_constant__ Gradient g) {
  after_previous();
  gradient<PROBABILITIES>(r, g);
}

// ---- Directions of embeddings ----
// out = p u^T with u_j = e_j / max(|e_j|, least), and back, for any number of experts. `d` rows of p; p and e have
// `width` columns.

DEVICE double norm_of(const float* row, int width) {
  double sum = 0;
  for (int i = 0; i < width; i++) sum += (double)row[i] * row[i];
  return sqrt(sum);
}

// <<<ceil(d * experts / 256), 256>>>
extern "C" __global__ void __launch_bounds__(256) directions_forward(
    float* out, const float* p, const float* e, int d, int experts, int width, double least) {
  after_previous();
  i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= (i64)d * experts) return;
  const float* projection = p + i / experts * width;
  const float* embedding = e + i % experts * width;
  double sum = 0;
  for (int j = 0; j < width; j++) sum += (double)projection[j] * embedding[j];
  out[i] = (float)(sum / fmax(norm_of(embedding, width), least));
}

// dP += dOut u
// <<<ceil(d * width / 256), 256, 8 * experts>>>
extern "C" __global__ void __launch_bounds__(256) directions_backward_projection(
    float* dP, const float* dOut, const float* e, int d, int experts, int width, double least) {
  after_previous();
  extern __shared__ double inverse_E[];
  for (int j = threadIdx.x; j < experts; j += blockDim.x) {
    inverse_E[j] = 1 / fmax(norm_of(e + (i64)j * width, width), least);
  }
  __syncthreads();
  i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= (i64)d * width) return;
  const float* gradient = dOut + i / width * experts;
  const float* column = e + i % width;
  double sum = 0;
  for (int j = 0; j < experts; j++) sum += gradient[j] * inverse_E[j] * column[(i64)j * width];
  dP[i] += (float)sum;
}

// dE_j += (dU_j - u_j (u_j . dU_j)) / |e_j| with dU = dOut^T p, but dU_j / least where e_j is shorter. A block has an
// expert, a warp some of its columns, each summed over rows lane by lane and then over lanes.
// <<<experts, 32 * min(width, 16), 8 * width>>>
extern "C" __global__ void __launch_bounds__(512) directions_backward_embeddings(
    float* dE, const float* dOut, const float* p, const float* e, int d, int experts, int width, double least) {
  after_previous();
  extern __shared__ double dU_W[];
  const float* gradient = dOut + blockIdx.x;
  int lane = threadIdx.x % WARP;
  for (int i = threadIdx.x / WARP; i < width; i += blockDim.x / WARP) {
    double sum = 0;
#pragma unroll 8
    for (i64 r = lane; r < d; r += WARP) sum += (double)gradient[r * experts] * p[r * width + i];
    sum = warp_sum(sum);
    if (lane == 0) dU_W[i] = sum;
  }
  __syncthreads();
  const float* embedding = e + (i64)blockIdx.x * width;
  double norm = norm_of(embedding, width);
  double along = 0;
  for (int i = 0; i < width; i++) along += dU_W[i] * embedding[i];
  for (int i = threadIdx.x; i < width; i += blockDim.x) {
    double change = norm < least ? dU_W[i] / least : (dU_W[i] - along / norm * embedding[i] / norm) / norm;
    dE[(i64)blockIdx.x * width + i] += (float)change;
  }
}

// Rows of a mixture-of-experts layer: who goes where, out to the experts and back, and the gradients of that.
//
//   count_tiles, scan_tiles, place      rows sorted by expert, those of an expert in token order
//   keep_by_priority                    who stays where an expert is over capacity, unless the first of a list do
//   gather, combine_layer               rows to the experts, outputs onto the residual stream
//   combine_layer_backward, dispatch_backward, input_jitter
//
// Nothing depends on the order in which blocks run: sums have a fixed tree, and atomics act on integers only.
//
// T tokens (at least 1), E experts (1 to 1024), k slots a token (1 to 32), S = T k slots, those of a token on end, at
// most one for each expert, a negative one where a slot was left out; D channels, R rows (R <= S).

// ---------------------------------------------------------------- rows by expert: a stable counting sort
//
// A warp has a tile, slotsPerTile slots on end, and counts experts in shared memory. With
//
//   slotsPerTile = max(128, ceil(S / 1024) rounded up to a multiple of 32)
//   tiles        = max(1, ceil(S / slotsPerTile))                              so at most 1024
//
// tileCount has tiles * E ints. Tiles times experts stay small whatever S is, and 128 slots fill the machine.

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

// Adds 32 slots to a warp's counters and returns how many came before this lane's slot at its expert, those
// counted earlier included; lanes without a slot have a negative expert.
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
    count_tiles(int* tileCount, const int* expert_S, int slots, int experts, int slotsPerTile, int tiles) {
  after_previous();
  extern __shared__ int counters[];
  int lane = threadIdx.x % WARP;
  int tile = blockIdx.x * TILE_WARPS + threadIdx.x / WARP;
  if (tile >= tiles) return;
  int* count_E = counters + threadIdx.x / WARP * experts;
  for (int e = lane; e < experts; e += WARP) count_E[e] = 0;
  __syncwarp();
  int from = tile * slotsPerTile, to = min(slots, from + slotsPerTile);
  for (int base = from; base < to; base += WARP) {
    int slot = base + lane;
    count_warp(count_E, slot < to ? expert_S[slot] : -1);
  }
  for (int e = lane; e < experts; e += WARP) tileCount[(u64)tile * experts + e] = count_E[e];
}

// <<<E, 256, 0>>> Turns an expert's counts into how many slots came to it in the tiles before.
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
// `capacity` rows an expert, 2^31 - 1 for dropless; the first slots of an expert get its places. Where others may
// (`chosen`) all slots are sorted into `slotOfRow_R`, which is then a workspace of S ints for keep_by_priority, and
// their `rowOfSlot_S` is left to it. offset_E1 is after dropping either way.
extern "C" __global__ void __launch_bounds__(TILE_WARPS * WARP)
    place(int* slotOfRow_R, int* rowOfSlot_S, int* offset_E1, const int* tileCount, const int* routed_E,
          const int* expert_S, int slots, int experts, int slotsPerTile, int tiles, int capacity, int chosen) {
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
  int before = chosen ? block_scan(all, scratch, total) : keptBefore;
  for (int e = begin; e < end; e++) {
    if (blockIdx.x == 0) offset_E1[e] = keptBefore;
    offset_E[e] = before;
    keptBefore += min(routed_E[e], capacity);
    before += chosen ? routed_E[e] : min(routed_E[e], capacity);
  }
  __syncthreads();

  int tile = blockIdx.x * TILE_WARPS + threadIdx.x / WARP;
  if (tile >= tiles) return;
  int* count_E = counters + threadIdx.x / WARP * experts;
  for (int e = lane; e < experts; e += WARP) count_E[e] = tileCount[(u64)tile * experts + e];
  __syncwarp();
  int from = tile * slotsPerTile, to = min(slots, from + slotsPerTile);
  for (int base = from; base < to; base += WARP) {
    int slot = base + lane;
    int expert = slot < to ? expert_S[slot] : -1;
    int rank = count_warp(count_E, expert);
    if (expert < 0) {
      if (slot < to) rowOfSlot_S[slot] = -1;
      continue;
    }
    int row = offset_E[expert] + rank;
    if (chosen) {
      slotOfRow_R[row] = slot;
    } else {
      bool placed = rank < capacity;
      if (placed) slotOfRow_R[row] = slot;
      rowOfSlot_S[slot] = placed ? row : -1;
    }
  }
}

#define DIGIT_BITS 11
#define DIGITS (1 << DIGIT_BITS)

// What is least comes first: a token's first choice before any second one (troupe.router.gate.Turns), 5 bits, then,
// where places are drawn, by its draw of 53 bits.
DEVICE u64 turn(const Draws& draws, int slot, int k, int drawn) {
  int token = slot / k;
  return (u64)(slot - token * k) << 53 | (drawn ? draw_53(draws, token, PURPOSE_PRIORITY) : 0);
}

// <<<E, 1024, 0>>> After place with `chosen`, whose result is `sorted_S`: the `capacity` slots of an expert whose turn
// comes first, ties by token, stay, in token order. A radix select from the high digit down finds the turn of the
// last of them; it ends as soon as all that share the digits so far stay.
extern "C" __global__ void __launch_bounds__(1024)
    keep_by_priority(int* slotOfRow_R, int* rowOfSlot_S, const int* sorted_S, const int* routed_E,
                     const int* offset_E1, int capacity, int k, int drawn, u64 seed, u32 step, u32 layer,
                     u64 firstToken) {
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
  sorted_S += from;

  // Kept is what is below `prefix` in its digits from `shift` up, and the first `places` of those that equal it.
  u64 prefix = 0;
  int shift = 0;
  int places = min(capacity, count);
  bool choose = count > capacity;
  if (choose && capacity > 0) {
    for (shift = k > 1 ? 5 * DIGIT_BITS : 4 * DIGIT_BITS;; shift -= DIGIT_BITS) {
      for (int i = thread; i < DIGITS; i += blockDim.x) histogram[i] = 0;
      __syncthreads();
      for (int i = thread; i < count; i += blockDim.x) {
        u64 key = turn(draws, sorted_S[i], k, drawn) >> shift;
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
    int slot = i < count ? sorted_S[i] : -1;
    bool below = i < count && !choose;
    bool tie = false;
    if (i < count && choose) {
      u64 key = turn(draws, slot, k, drawn) >> shift;
      below = key < prefix;
      tie = key == prefix;
    }
    int total;
    int tiesBefore = block_scan(tie, scratch, total);
    bool keep = below || (tie && ties + tiesBefore < places);
    ties += total;
    int before = block_scan(keep, scratch, total);
    if (keep) slotOfRow_R[row + before] = slot;
    if (slot >= 0) rowOfSlot_S[slot] = keep ? row + before : -1;
    row += total;
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

DEVICE void unpack(float* x, uint4 vector) {
  x[0] = low(vector.x);
  x[1] = high(vector.x);
  x[2] = low(vector.y);
  x[3] = high(vector.y);
  x[4] = low(vector.z);
  x[5] = high(vector.z);
  x[6] = low(vector.w);
  x[7] = high(vector.w);
}
DEVICE uint4 pack(const float* x) {
  return make_uint4(pack(x[0], x[1]), pack(x[2], x[3]), pack(x[4], x[5]), pack(x[6], x[7]));
}

DEVICE const bf16* of_lane(const bf16* x, int lane) { return (const bf16*)__shfl_sync(FULL, (u64)x, lane); }

// x = mid + sum of m * omega * y over the rows of a token, in the order of its slots, rounded once; x may be mid. Lane r
// has what slot r has: y, null where it has no row, and m.
DEVICE void add_rows(bf16* x, const bf16* mid, const bf16* y, float m, const float* omega, int d) {
  int lane = threadIdx.x % WARP;
  u32 slots = __ballot_sync(FULL, y != 0);
  if (slots == 0) {
    if (x != mid) copy_row(x, mid, d);
    return;
  }
  if ((slots & (slots - 1)) == 0) {
    int only = __ffs(slots) - 1;
    add_row(x, mid, of_lane(y, only), __shfl_sync(FULL, m, only), omega, d);
    return;
  }
  // Half as many in flight of each row: there are more rows, and sums besides.
  constexpr int PIECES = IN_FLIGHT / 2;
  bool whole = d % VECTOR == 0 && aligned(x) && aligned(mid) && aligned(omega) && __all_sync(FULL, aligned(y));
  int vectors = whole ? d / VECTOR : 0;
  for (int base = lane; base - lane < vectors; base += WARP * PIECES) {
    float sum[PIECES][VECTOR];
#pragma unroll
    for (int k = 0; k < PIECES; k++) {
      if (base + k * WARP < vectors) unpack(sum[k], ((const uint4*)mid)[base + k * WARP]);
    }
    for (u32 left = slots; left; left &= left - 1) {
      const uint4* row = (const uint4*)of_lane(y, __ffs(left) - 1);
      float w = __shfl_sync(FULL, m, __ffs(left) - 1);
#pragma unroll
      for (int k = 0; k < PIECES; k++) {
        int i = base + k * WARP;
        if (i >= vectors) continue;
        float add[VECTOR];
        unpack(add, row[i]);
#pragma unroll
        for (int j = 0; j < VECTOR; j++) sum[k][j] = fmaf(omega ? w * omega[i * VECTOR + j] : w, add[j], sum[k][j]);
      }
    }
#pragma unroll
    for (int k = 0; k < PIECES; k++) {
      if (base + k * WARP < vectors) ((uint4*)x)[base + k * WARP] = pack(sum[k]);
    }
  }
  for (int base = vectors * VECTOR; base < d; base += WARP) {
    int i = base + lane;
    float sum = i < d ? to_float(mid[i]) : 0;
    for (u32 left = slots; left; left &= left - 1) {
      const bf16* row = of_lane(y, __ffs(left) - 1);
      float w = __shfl_sync(FULL, m, __ffs(left) - 1);
      if (i < d) sum = fmaf(omega ? w * omega[i] : w, to_float(row[i]), sum);
    }
    if (i < d) store(x + i, sum);
  }
}

// The row that slot `lane` of a token has at its expert, or null.
DEVICE const bf16* row_of_lane(const bf16* const* rows_E, const int* offset_E1, const int* rowOfSlot_S,
                               const int* expert_S, int token, int k, int d) {
  int lane = threadIdx.x % WARP;
  int row = lane < k ? rowOfSlot_S[token * k + lane] : -1;
  if (row < 0) return 0;
  int expert = expert_S[token * k + lane];
  return rows_E[expert] + (u64)(row - offset_E1[expert]) * d;
}

// <<<ceil(maxRows / 8), 256, 0>>> maxRows is what the launch is for (S, say), *rows what there is.
extern "C" __global__ void __launch_bounds__(ROW_WARPS * WARP)
    gather(bf16* sent_RD, const bf16* h_TD, const int* slotOfRow_R, const int* rows, int maxRows, int k, int d) {
  after_previous();
  int row = row_of_warp();
  if (row >= min(maxRows, *rows)) return;
  copy_row(sent_RD + (u64)row * d, h_TD + (u64)(slotOfRow_R[row] / k) * d, d);
}

// <<<ceil(T / 8), 256, 0>>> omega is null for ones; x_TD may be mid_TD.
extern "C" __global__ void __launch_bounds__(ROW_WARPS * WARP)
    combine_layer(bf16* x_TD, const bf16* mid_TD, const bf16* const* y_E, const int* offset_E1, const int* rowOfSlot_S,
                  const int* expert_S, const float* multiplier_S, const float* omega, int tokens, int k, int d) {
  after_previous();
  int token = row_of_warp();
  if (token >= tokens) return;
  int lane = threadIdx.x % WARP;
  const bf16* y = row_of_lane(y_E, offset_E1, rowOfSlot_S, expert_S, token, k, d);
  float m = lane < k ? multiplier_S[token * k + lane] : 0;
  add_rows(x_TD + (u64)token * d, mid_TD + (u64)token * d, y, m, omega, d);
}

// <<<ceil(T / 8), 256, 0>>>
extern "C" __global__ void __launch_bounds__(ROW_WARPS * WARP)
    dispatch_backward(bf16* dH_TD, const bf16* const* dIn_E, const int* offset_E1, const int* rowOfSlot_S,
                      const int* expert_S, int tokens, int k, int d) {
  after_previous();
  int token = row_of_warp();
  if (token >= tokens) return;
  bf16* dH = dH_TD + (u64)token * d;
  add_rows(dH, dH, row_of_lane(dIn_E, offset_E1, rowOfSlot_S, expert_S, token, k, d), 1, 0, d);
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
DEVICE void unpack(float* x, const Piece<VECTOR>& piece) { unpack(x, piece.x); }
DEVICE void pack_into(Piece<1>& piece, const float* x) { piece.x = to_bf16(x[0]); }
DEVICE void pack_into(Piece<VECTOR>& piece, const float* x) { piece.x = pack(x); }

// Where the rows that a block is about to take are: read for many rows at once, since each is found only through
// three loads that wait for one another.
struct Staged {
  const bf16* y[STAGED_ROWS];
  int token[STAGED_ROWS];
  int slot[STAGED_ROWS];
  float multiplier[STAGED_ROWS];
  float s[2][ROWS_AT_ONCE][WARP];
};

// The rows [begin, end); a thread has WIDTH columns of them, and of dOmega. Wider rows are taken in turns.
template <int WIDTH>
DEVICE void combine_backward_rows(Staged& staged, bf16* dY_RD, float* s_S, float* partial_D, const bf16* dX_TD,
                                  const bf16* const* y_E, const int* offset_E1, const int* slotOfRow_R,
                                  const int* expert_S, const float* multiplier_S, const float* omega, int begin,
                                  int end, int slotsOfToken, int d) {
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
        int slot = slotOfRow_R[base + i];
        int expert = expert_S[slot];
        staged.token[i] = slot / slotsOfToken;
        staged.slot[i] = slot;
        staged.multiplier[i] = multiplier_S[slot];
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
            float* s = s_S + staged.slot[r + k];
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
    combine_layer_backward(bf16* dY_RD, float* s_S, float* partial, const bf16* dX_TD, const bf16* const* y_E,
                     const int* offset_E1, const int* slotOfRow_R, const int* rowOfSlot_S, const int* expert_S,
                     const float* multiplier_S, const float* omega, int tokens, int experts, int k, int d, int parts) {
  after_previous();
  __shared__ Staged staged;
  int slots = tokens * k;
  for (int slot = blockIdx.x * blockDim.x + threadIdx.x; slot < slots; slot += gridDim.x * blockDim.x) {
    if (rowOfSlot_S[slot] < 0) s_S[slot] = 0;
  }
  int fits = d % VECTOR == 0 && aligned(dY_RD) && aligned(dX_TD);
  for (int e = threadIdx.x; e < experts; e += blockDim.x) fits &= aligned(y_E[e]);
  fits = __syncthreads_and(fits);
  u64 rows = offset_E1[experts];
  int begin = (int)(rows * blockIdx.x / parts), end = (int)(rows * (blockIdx.x + 1) / parts);
  float* partial_D = partial ? partial + (u64)blockIdx.x * d : partial;
  if (fits) {
    combine_backward_rows<VECTOR>(staged, dY_RD, s_S, partial_D, dX_TD, y_E, offset_E1, slotOfRow_R, expert_S,
                                  multiplier_S, omega, begin, end, k, d);
  } else {
    combine_backward_rows<1>(staged, dY_RD, s_S, partial_D, dX_TD, y_E, offset_E1, slotOfRow_R, expert_S,
                             multiplier_S, omega, begin, end, k, d);
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

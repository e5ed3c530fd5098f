// Causal multi-head self attention in bfloat16 with float32 sums, without the matrix of scores in memory:
// FlashAttention-2 (Dao 2023, arXiv 2307.08691).
//
// Forward: a block of threads owns some queries and walks over the keys up to them, 64 at a time, with a running
// maximum and sum per query. Backward: the scores are computed anew from the saved log-sum-exp, twice: one block
// owns keys and walks over the queries after them for dK and dV, another owns queries and walks over the keys
// before them for dQ. That is seven products of matrices where five would do, but none of their sums is shared
// between blocks: no atomics, no workspace, and the same bits every time.
//
// All work is on tiles of 64 x 64, owned by groups of four warps with 16 rows each. Every product has its left side
// in registers or shared memory and its right side in shared memory, and leaves its sums in the registers of the
// warp that owns the rows, laid out so that they are again the left side of the next product. Hopper (sm_90a)
// multiplies with wgmma, older chips with mma.sync; the layouts of registers and shared memory are the same.
//
// Layouts: qkv is [batch*seq x 3*heads*size], a row is all queries, then all keys, then all values, the heads side
// by side in each; out and dOut are [batch*seq x heads*size]; lse and delta are [batch*heads*seq].

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define WGMMA 1
#else
#define WGMMA 0
#endif

#define TILE 64           // rows of a group and of a step, and columns of a panel
#define GROUP 128         // threads of a group
#define LOG2E 1.4426950408889634f
// Queries keep an outdated maximum until it is off by this many powers of two: the sums stay far from overflow,
// and most steps need not rescale what they have summed. The result does not depend on the maximum.
#define SLACK 8.0f

// 64 x 64 sums of a group; a thread has columns 8*n + lane%4*2 + {0,1} of rows lane/4 (x[n][0..1]) and
// lane/4 + 8 (x[n][2..3]) of its warp's 16.
struct Sums { float x[8][4]; };
// The left side of a product with 64 inner columns, as bfloat16 pairs in the order mma and wgmma want them.
struct Left { u32 x[4][4]; };

// The first of a thread's two rows among its group's 64; the other is 8 below.
DEVICE int upper_row() { return threadIdx.x % GROUP / WARP * 16 + threadIdx.x % WARP / 4; }

DEVICE void clear(Sums& sums) {
#pragma unroll
  for (int n = 0; n < 8; n++)
#pragma unroll
    for (int i = 0; i < 4; i++) sums.x[n][i] = 0;
}
template <int PANELS>
DEVICE void clear(Sums (&sums)[PANELS]) {
#pragma unroll
  for (int p = 0; p < PANELS; p++) clear(sums[p]);
}

// ---- Shared memory: panels of 64 columns, 128 bytes a row, whose 16-byte chunks are swizzled within 8 rows.

// The same in all threads of a warp, in a way that the compiler sees: wgmma takes its addresses from uniform registers.
DEVICE int group_index() { return __shfl_sync(FULL, threadIdx.x / GROUP, 0); }

DEVICE u32 shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }

DEVICE u32 chunk_address(u32 panel, int row, int chunk) { return panel + row * 128 + ((chunk ^ (row & 7)) << 4); }

DEVICE void copy_async(u32 to, const void* from, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(valid ? 16 : 0) : "memory");
}
DEVICE void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most `LATER` younger commits of this thread are under way, then for all threads; what has arrived
// is visible to wgmma too, which reads through another proxy.
template <int LATER>
DEVICE void copy_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(LATER) : "memory");
#if WGMMA
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
  __syncthreads();
}

// The row and column at which this thread begins when its block copies rows of a head.
template <int SIZE>
DEVICE int part_row() { return threadIdx.x / (SIZE / 8); }
template <int SIZE>
DEVICE int part_column() { return threadIdx.x % (SIZE / 8) * 8; }
template <int SIZE>
DEVICE const bf16* part(const bf16* head, int stride, int row) {
  return head + (i64)(row + part_row<SIZE>()) * stride + part_column<SIZE>();
}

// Starts copying ROWS rows of a head into panels. `part` is where this thread begins; from `rows` on, rows are zeros.
template <int SIZE, int ROWS, int THREADS>
DEVICE void load(u32 panels, const bf16* part, int stride, int rows) {
  constexpr int PASS = THREADS / (SIZE / 8);  // rows of all threads at once
  static_assert(ROWS % PASS == 0 && PASS % 8 == 0, "whole passes, and the same swizzle in each");
  int row = part_row<SIZE>(), chunk = part_column<SIZE>() / 8;
  u32 to = chunk_address(panels + chunk / 8 * (ROWS * 128), row, chunk % 8);
#pragma unroll
  for (int i = 0; i < ROWS / PASS; i++)
    copy_async(to + i * PASS * 128, part + (i64)(i * PASS) * stride, rows - row > i * PASS);
}

// ---- Products of a group, 64 x 64 with 64 inner columns:
//   multiply      sums (+)= left * right transposed, both in a panel (left at the group's rows)
//   multiply_add  sums += left * right, left in registers, right in a panel with a row for each inner column

#if WGMMA
#define SUMS_16(to, s, n) \
  to(s.x[n][0]), to(s.x[n][1]), to(s.x[n][2]), to(s.x[n][3]), to(s.x[n + 1][0]), to(s.x[n + 1][1]), \
  to(s.x[n + 1][2]), to(s.x[n + 1][3]), to(s.x[n + 2][0]), to(s.x[n + 2][1]), to(s.x[n + 2][2]), to(s.x[n + 2][3]), \
  to(s.x[n + 3][0]), to(s.x[n + 3][1]), to(s.x[n + 3][2]), to(s.x[n + 3][3])
#define SUMS_32 \
  "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}"
// With `add` 0 the sums are "=f", written only: were they read too, the compiler would keep registers for what they
// were before, and where it runs out of them it runs all products one by one.
#define WGMMA_SHARED(to, add, sums, left, right) \
  asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " SUMS_32 ", %32, %33, " #add ", 1, 1, 0, 0;" \
               : SUMS_16(to, sums, 0), SUMS_16(to, sums, 4) : "l"(left), "l"(right) : "memory")

// 128-byte swizzle, and 1024 bytes from each 8 rows to the next. Addresses stay under 2^18, so their sixteenth fits.
DEVICE u64 descriptor(u32 address, int offset) { return (1ull << 62 | 64ull << 32) | ((address >> 4) + offset / 16); }

DEVICE void multiply(Sums& sums, u32 left, u32 right, bool add) {
#pragma unroll
  for (int k = 0; k < 4; k++) {
    u64 own = descriptor(left, k * 32), from = descriptor(right, k * 32);
    if (add || k > 0) WGMMA_SHARED("+f", 1, sums, own, from);
    else WGMMA_SHARED("=f", 0, sums, own, from);
  }
}
DEVICE void multiply_add(Sums& sums, const Left& left, u32 right) {
#pragma unroll
  for (int k = 0; k < 4; k++)
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " SUMS_32
                 ", {%32, %33, %34, %35}, %36, 1, 1, 1, 1;"
                 : SUMS_16("+f", sums, 0), SUMS_16("+f", sums, 4)
                 : "r"(left.x[k][0]), "r"(left.x[k][1]), "r"(left.x[k][2]), "r"(left.x[k][3]),
                   "l"(descriptor(right, k * 2048))
                 : "memory");
}

// wgmma runs beside the threads: products_begin() before one, products_commit() behind it, and before its sums are
// read or the registers of its left side written, products_wait<later products still allowed under way>(). What is
// given to hold() is not moved across it by the compiler.
DEVICE void products_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void products_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int LATER>
DEVICE void products_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(LATER) : "memory"); }
DEVICE void hold(Sums& sums) {
#pragma unroll
  for (int n = 0; n < 8; n++)
#pragma unroll
    for (int i = 0; i < 4; i++) asm volatile("" : "+f"(sums.x[n][i])::"memory");
}
DEVICE void hold(Left& left) {
#pragma unroll
  for (int n = 0; n < 4; n++)
#pragma unroll
    for (int i = 0; i < 4; i++) asm volatile("" : "+r"(left.x[n][i])::"memory");
}
#else
DEVICE void load_fragment(u32 (&x)[4], u32 address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3]) : "r"(address) : "memory");
}
DEVICE void load_fragment_transposed(u32 (&x)[4], u32 address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3]) : "r"(address) : "memory");
}

DEVICE void mma(float (&sum)[4], const u32 (&left)[4], u32 right0, u32 right1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
               "{%0, %1, %2, %3};"
               : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
               : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right0), "r"(right1));
}

// Inner columns 16*k.., with `right` as in multiply or, INNER_ROWS, as in multiply_add.
template <bool INNER_ROWS>
DEVICE void multiply_step(Sums& sums, const u32 (&left)[4], u32 right, int k) {
  int lane = threadIdx.x % WARP;
#pragma unroll
  for (int n = 0; n < 8; n += 2) {
    u32 x[4];
    if (INNER_ROWS) load_fragment_transposed(x, chunk_address(right, k * 16 + lane % 16, n + lane / 16));
    else load_fragment(x, chunk_address(right, n * 8 + lane / 16 * 8 + lane % 8, k * 2 + lane / 8 % 2));
    mma(sums.x[n], left, x[0], x[1]);
    mma(sums.x[n + 1], left, x[2], x[3]);
  }
}

DEVICE void multiply(Sums& sums, u32 left, u32 right, bool add) {
  int lane = threadIdx.x % WARP, warp = threadIdx.x % GROUP / WARP;
  if (!add) clear(sums);
#pragma unroll
  for (int k = 0; k < 4; k++) {
    u32 x[4];
    load_fragment(x, chunk_address(left, warp * 16 + lane % 16, k * 2 + lane / 16));
    multiply_step<false>(sums, x, right, k);
  }
}
DEVICE void multiply_add(Sums& sums, const Left& left, u32 right) {
#pragma unroll
  for (int k = 0; k < 4; k++) multiply_step<true>(sums, left.x[k], right, k);
}

DEVICE void products_begin() {}
DEVICE void products_commit() {}
template <int LATER>
DEVICE void products_wait() {}
DEVICE void hold(Sums&) {}
DEVICE void hold(Left&) {}
#endif

// sums = (a group's 64 rows in `left`) * (64 rows in `right`) transposed, over all columns of a head; `left` is in
// panels of LEFT_ROWS.
template <int SIZE, int LEFT_ROWS>
DEVICE void multiply_rows(Sums& sums, u32 left, u32 right) {
#pragma unroll
  for (int p = 0; p < SIZE / TILE; p++)
    multiply(sums, left + p * (LEFT_ROWS * 128), right + p * (TILE * 128), p > 0);
}

template <int PANELS>
DEVICE void hold(Sums (&sums)[PANELS]) {
#pragma unroll
  for (int p = 0; p < PANELS; p++) hold(sums[p]);
}

// sums += left * (64 rows in `right`), for all columns of a head
template <int PANELS>
DEVICE void multiply_columns(Sums (&sums)[PANELS], const Left& left, u32 right) {
#pragma unroll
  for (int p = 0; p < PANELS; p++) multiply_add(sums[p], left, right + p * (TILE * 128));
}

// ---- What happens to scores in registers.

DEVICE Left to_left(const Sums& sums) {
  Left left;
#pragma unroll
  for (int k = 0; k < 4; k++) {
    left.x[k][0] = pack(sums.x[2 * k][0], sums.x[2 * k][1]);
    left.x[k][1] = pack(sums.x[2 * k][2], sums.x[2 * k][3]);
    left.x[k][2] = pack(sums.x[2 * k + 1][0], sums.x[2 * k + 1][1]);
    left.x[k][3] = pack(sums.x[2 * k + 1][2], sums.x[2 * k + 1][3]);
  }
  return left;
}

// Puts `value` where, in the one tile on the diagonal, the key comes after the query. UPPER says that this is where
// the column is greater than the row, so rows are queries.
template <bool UPPER>
DEVICE void mask(Sums& sums, float value) {
  int row = upper_row(), column = threadIdx.x % 4 * 2;
#pragma unroll
  for (int n = 0; n < 8; n++)
#pragma unroll
    for (int i = 0; i < 4; i++) {
      int distance = (n * 8 + column + i % 2) - (row + i / 2 * 8);
      if (UPPER ? distance > 0 : distance < 0) sums.x[n][i] = value;
    }
}

DEVICE float quad_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(FULL, x, 1));
  return fmaxf(x, __shfl_xor_sync(FULL, x, 2));
}
DEVICE float quad_sum(float x) {
  x += __shfl_xor_sync(FULL, x, 1);
  return x + __shfl_xor_sync(FULL, x, 2);
}

// Writes a group's sums, scaled by `scale[upper or lower row]`, to rows of a head before `end`, by way of the
// group's rows in shared memory: a warp uses its own 16 only.
template <int SIZE, int ROWS>
DEVICE void store_rows(bf16* head, int stride, int row, int end, const Sums (&sums)[SIZE / TILE],
                       const float (&scale)[2], u32 panels) {
  int lane = threadIdx.x % WARP, first = threadIdx.x % GROUP / WARP * 16;
#pragma unroll
  for (int p = 0; p < SIZE / TILE; p++)
#pragma unroll
    for (int n = 0; n < 8; n++)
#pragma unroll
      for (int i = 0; i < 2; i++) {
        u32 to = chunk_address(panels + p * (ROWS * 128), first + lane / 4 + i * 8, n) + lane % 4 * 4;
        u32 pair = pack(sums[p].x[n][i * 2] * scale[i], sums[p].x[n][i * 2 + 1] * scale[i]);
        asm volatile("st.shared.u32 [%0], %1;" ::"r"(to), "r"(pair) : "memory");
      }
  __syncwarp();
#pragma unroll
  for (int p = 0; p < SIZE / TILE; p++)
#pragma unroll
    for (int i = 0; i < 4; i++) {
      int r = first + i * 4 + lane / 8;
      uint4 x;
      asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w)
                   : "r"(chunk_address(panels + p * (ROWS * 128), r, lane % 8)) : "memory");
      if (row + r < end) *(uint4*)(head + (i64)(row + r) * stride + p * TILE + lane % 8 * 8) = x;
    }
}

// ---- A walk over two of a head's matrices, a tile of each a step, through a ring of STAGES such pairs in shared
// memory, filled STAGES - 1 steps ahead: the stage filled in a step was read in the one before, whose products each
// group has waited for. (Left under way until the next step, they would have the compiler run all products one by one.)

template <int SIZE, int THREADS, int STAGES>
struct Walk {
  const bf16 *one, *two;       // this thread's part of the next tiles to fill
  int one_stride, two_stride;
  int fill_row, last, end;     // the next row to fill, the row where the walk ends, and where all rows end
  u32 ring, fill_stage, stage; // the ring, where the next tiles go, and where the current ones are
  static constexpr int TILE_BYTES = TILE * SIZE * 2, STAGE_BYTES = 2 * TILE_BYTES;
};

template <int SIZE, int THREADS, int STAGES>
DEVICE void fill(Walk<SIZE, THREADS, STAGES>& walk) {
  if (walk.fill_row < walk.last) {
    load<SIZE, TILE, THREADS>(walk.fill_stage, walk.one, walk.one_stride, walk.end - walk.fill_row);
    load<SIZE, TILE, THREADS>(walk.fill_stage + walk.TILE_BYTES, walk.two, walk.two_stride, walk.end - walk.fill_row);
    walk.one += (i64)TILE * walk.one_stride;
    walk.two += (i64)TILE * walk.two_stride;
    walk.fill_row += TILE;
    bool wrap = walk.fill_stage == walk.ring + (STAGES - 1) * walk.STAGE_BYTES;
    walk.fill_stage = wrap ? walk.ring : walk.fill_stage + walk.STAGE_BYTES;
  }
  copy_commit();
}

// Fills the ring from `row` on; whatever else was being copied before has arrived when the first tile has.
template <int SIZE, int THREADS, int STAGES>
DEVICE void begin(Walk<SIZE, THREADS, STAGES>& walk, const bf16* one, int one_stride, const bf16* two, int two_stride,
                  int row, int last, int end, u32 ring) {
  walk.one = part<SIZE>(one, one_stride, row);
  walk.two = part<SIZE>(two, two_stride, row);
  walk.one_stride = one_stride;
  walk.two_stride = two_stride;
  walk.fill_row = row;
  walk.last = last;
  walk.end = end;
  walk.ring = walk.fill_stage = walk.stage = ring;
#pragma unroll
  for (int i = 0; i < STAGES - 1; i++) fill(walk);
}

// The current tiles are there for all threads after arrive(), and only then may there be one fill(); next() makes the
// following tiles current.
template <int SIZE, int THREADS, int STAGES>
DEVICE void arrive(Walk<SIZE, THREADS, STAGES>&) { copy_wait<STAGES - 2>(); }
template <int SIZE, int THREADS, int STAGES>
DEVICE void next(Walk<SIZE, THREADS, STAGES>& walk) {
  bool wrap = walk.stage == walk.ring + (STAGES - 1) * walk.STAGE_BYTES;
  walk.stage = wrap ? walk.ring : walk.stage + walk.STAGE_BYTES;
}

// ---- Kernels.

extern __shared__ __align__(1024) unsigned char shared_memory[];

template <int SIZE, int GROUPS, int STAGES>
DEVICE void forward(bf16* out, float* lse, const bf16* qkv, int seq, int heads) {
  constexpr int ROWS = GROUPS * TILE, THREADS = GROUPS * GROUP, PANELS = SIZE / TILE;
  int blocks = (seq + ROWS - 1) / ROWS, sequence = blockIdx.x / blocks;
  int first = (blocks - 1 - blockIdx.x % blocks) * ROWS;  // the longest work starts first
  int group = group_index(), row = first + group * TILE;
  int width = heads * SIZE, batch = sequence / heads, head = sequence % heads;
  int stride = 3 * width;
  const bf16* q = qkv + (i64)batch * seq * stride + head * SIZE;
  const bf16 *k = q + width, *v = k + width;
  u32 q_panels = shared_address(shared_memory), ring = q_panels + ROWS * SIZE * 2;

  load<SIZE, ROWS, THREADS>(q_panels, part<SIZE>(q, stride, first), stride, seq - first);
  int last = min(first + ROWS, seq);
  Walk<SIZE, THREADS, STAGES> walk;
  begin(walk, k, stride, v, stride, 0, last, seq, ring);

  u32 queries = q_panels + group * (TILE * 128);
  Sums sums[PANELS];
  clear(sums);
  float most[2] = {-INF, -INF}, total[2] = {0, 0};
  const float scale = rsqrtf((float)SIZE), scale2 = scale * LOG2E;

  for (int key = 0; key < last; key += TILE, next(walk)) {
    arrive(walk);
    fill(walk);
    if (key > row) continue;  // the keys come after all of this group's queries
    Sums scores;
    products_begin();
    multiply_rows<SIZE, ROWS>(scores, queries, walk.stage);
    products_commit();
    products_wait<0>();
    hold(scores);
    if (key == row) mask<true>(scores, -INF);

    float top[2] = {most[0], most[1]};
#pragma unroll
    for (int n = 0; n < 8; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) top[i / 2] = fmaxf(top[i / 2], scores.x[n][i]);
    top[0] = quad_max(top[0]);
    top[1] = quad_max(top[1]);
    bool off = fmaxf(top[0] - most[0], top[1] - most[1]) * scale2 > SLACK;
    if (__any_sync(FULL, off)) {
#pragma unroll
      for (int i = 0; i < 2; i++) {
        float shrink = power2((most[i] - top[i]) * scale2);
        most[i] = top[i];
        total[i] *= shrink;
#pragma unroll
        for (int p = 0; p < PANELS; p++)
#pragma unroll
          for (int n = 0; n < 8; n++) {
            sums[p].x[n][i * 2] *= shrink;
            sums[p].x[n][i * 2 + 1] *= shrink;
          }
      }
    }
    float shift[2] = {most[0] * scale2, most[1] * scale2};
#pragma unroll
    for (int n = 0; n < 8; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) {
        scores.x[n][i] = power2(scores.x[n][i] * scale2 - shift[i / 2]);
        total[i / 2] += scores.x[n][i];
      }
    Left weights = to_left(scores);
    hold(weights);
    hold(sums);
    products_begin();
    multiply_columns(sums, weights, walk.stage + walk.TILE_BYTES);
    products_commit();
    products_wait<0>();
    hold(weights);
    hold(sums);
  }
  __syncthreads();

  float inverse[2];
#pragma unroll
  for (int i = 0; i < 2; i++) {
    total[i] = quad_sum(total[i]);
    inverse[i] = 1 / total[i];
    int r = row + upper_row() + i * 8;
    if (threadIdx.x % 4 == 0 && r < seq) lse[(i64)sequence * seq + r] = most[i] * scale + logf(total[i]);
  }
  store_rows<SIZE, ROWS>(out + (i64)batch * seq * width + head * SIZE, width, row, seq, sums, inverse, queries);
}

// dK and dV, in blocks of one group: rows of the tiles are keys, columns are queries.
template <int SIZE, int STAGES>
DEVICE void backward_keys(bf16* dQkv, const bf16* dOut, const bf16* qkv, const float* lse, const float* delta, int seq,
                          int heads) {
  constexpr int PANELS = SIZE / TILE;
  int blocks = (seq + TILE - 1) / TILE, sequence = blockIdx.x / blocks;
  int row = blockIdx.x % blocks * TILE;
  int width = heads * SIZE, batch = sequence / heads, head = sequence % heads;
  int stride = 3 * width;
  i64 offset = (i64)batch * seq * stride + head * SIZE;
  const bf16 *q = qkv + offset, *k = q + width, *v = k + width;
  const bf16* d_out = dOut + (i64)batch * seq * width + head * SIZE;
  Walk<SIZE, GROUP, STAGES> walk;
  u32 keys = shared_address(shared_memory), values = keys + walk.TILE_BYTES;
  load<SIZE, TILE, GROUP>(keys, part<SIZE>(k, stride, row), stride, seq - row);
  load<SIZE, TILE, GROUP>(values, part<SIZE>(v, stride, row), stride, seq - row);
  begin(walk, q, stride, d_out, width, row, seq, seq, values + walk.TILE_BYTES);

  Sums d_keys[PANELS], d_values[PANELS];
  clear(d_keys);
  clear(d_values);
  const float scale = rsqrtf((float)SIZE), scale2 = scale * LOG2E;

  // lse (times log2 e) and delta of a step's queries go by way of a register, from one step to the next: the first
  // half of the threads has the one, the second the other.
  float* per_query = (float*)(shared_memory + (STAGES + 1) * walk.STAGE_BYTES);
  bool second = threadIdx.x >= TILE;
  const float* of_query = (second ? delta : lse) + (i64)sequence * seq;
  int query_of_thread = row + threadIdx.x % TILE;
  float value = query_of_thread < seq ? of_query[query_of_thread] : 0;

  for (int query = row, parity = 0; query < seq; query += TILE, parity ^= 2 * TILE, next(walk)) {
    per_query[parity + threadIdx.x] = second ? value : value * LOG2E;
    arrive(walk);
    query_of_thread += TILE;
    value = query_of_thread < seq ? of_query[query_of_thread] : 0;
    int column = threadIdx.x % 4 * 2;
    Sums scores, d_scores;
    products_begin();
    multiply_rows<SIZE, TILE>(scores, keys, walk.stage);
    products_commit();
    multiply_rows<SIZE, TILE>(d_scores, values, walk.stage + walk.TILE_BYTES);
    products_commit();
    fill(walk);
    products_wait<1>();
    hold(scores);
#pragma unroll
    for (int n = 0; n < 8; n++) {
      float2 shift = *(const float2*)(per_query + parity + n * 8 + column);
#pragma unroll
      for (int i = 0; i < 4; i++) scores.x[n][i] = power2(scores.x[n][i] * scale2 - (i % 2 ? shift.y : shift.x));
    }
    if (query == row) mask<false>(scores, 0);
    Left weights = to_left(scores);
    hold(weights);
    products_begin();
    multiply_columns(d_values, weights, walk.stage + walk.TILE_BYTES);
    products_commit();
    products_wait<1>();
    hold(d_scores);
#pragma unroll
    for (int n = 0; n < 8; n++) {
      float2 shift = *(const float2*)(per_query + parity + TILE + n * 8 + column);
#pragma unroll
      for (int i = 0; i < 4; i++) d_scores.x[n][i] = scores.x[n][i] * (d_scores.x[n][i] - (i % 2 ? shift.y : shift.x));
    }
    Left d_weights = to_left(d_scores);
    hold(d_weights);
    products_begin();
    multiply_columns(d_keys, d_weights, walk.stage);
    products_commit();
    products_wait<0>();
    hold(weights);
    hold(d_weights);
    hold(d_keys);
    hold(d_values);
  }
  __syncthreads();

  const float scales[2] = {scale, scale}, ones[2] = {1, 1};
  bf16 *d_k = dQkv + offset + width, *d_v = d_k + width;
  store_rows<SIZE, TILE>(d_k, stride, row, seq, d_keys, scales, keys);
  store_rows<SIZE, TILE>(d_v, stride, row, seq, d_values, ones, values);
}

// dQ: rows of the tiles are queries, columns are keys.
template <int SIZE, int GROUPS, int STAGES>
DEVICE void backward_queries(bf16* dQkv, const bf16* dOut, const bf16* qkv, const float* lse, const float* delta,
                             int seq, int heads) {
  constexpr int ROWS = GROUPS * TILE, THREADS = GROUPS * GROUP, PANELS = SIZE / TILE;
  int blocks = (seq + ROWS - 1) / ROWS, sequence = blockIdx.x / blocks;
  int first = (blocks - 1 - blockIdx.x % blocks) * ROWS;  // the longest work starts first
  int group = group_index(), row = first + group * TILE;
  int width = heads * SIZE, batch = sequence / heads, head = sequence % heads;
  int stride = 3 * width;
  i64 offset = (i64)batch * seq * stride + head * SIZE;
  const bf16 *q = qkv + offset, *k = q + width, *v = k + width;
  const bf16* d_out = dOut + (i64)batch * seq * width + head * SIZE;
  u32 q_panels = shared_address(shared_memory), d_panels = q_panels + ROWS * SIZE * 2;
  u32 ring = d_panels + ROWS * SIZE * 2;

  load<SIZE, ROWS, THREADS>(q_panels, part<SIZE>(q, stride, first), stride, seq - first);
  load<SIZE, ROWS, THREADS>(d_panels, part<SIZE>(d_out, width, first), width, seq - first);
  int last = min(first + ROWS, seq);
  Walk<SIZE, THREADS, STAGES> walk;
  begin(walk, k, stride, v, stride, 0, last, seq, ring);

  u32 queries = q_panels + group * (TILE * 128), d_outs = d_panels + group * (TILE * 128);
  float shift[2], own_delta[2];
#pragma unroll
  for (int i = 0; i < 2; i++) {
    int r = row + upper_row() + i * 8;
    shift[i] = r < seq ? lse[(i64)sequence * seq + r] * LOG2E : 0;
    own_delta[i] = r < seq ? delta[(i64)sequence * seq + r] : 0;
  }
  Sums d_queries[PANELS];
  clear(d_queries);
  const float scale = rsqrtf((float)SIZE), scale2 = scale * LOG2E;

  for (int key = 0; key < last; key += TILE, next(walk)) {
    arrive(walk);
    fill(walk);
    if (key > row) continue;  // the keys come after all of this group's queries
    Sums scores, d_scores;
    products_begin();
    multiply_rows<SIZE, ROWS>(scores, queries, walk.stage);
    products_commit();
    multiply_rows<SIZE, ROWS>(d_scores, d_outs, walk.stage + walk.TILE_BYTES);
    products_commit();
    products_wait<1>();
    hold(scores);
#pragma unroll
    for (int n = 0; n < 8; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) scores.x[n][i] = power2(scores.x[n][i] * scale2 - shift[i / 2]);
    if (key == row) mask<true>(scores, 0);
    products_wait<0>();
    hold(d_scores);
#pragma unroll
    for (int n = 0; n < 8; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) d_scores.x[n][i] = scores.x[n][i] * (d_scores.x[n][i] - own_delta[i / 2]);
    Left d_weights = to_left(d_scores);
    hold(d_weights);
    products_begin();
    multiply_columns(d_queries, d_weights, walk.stage);
    products_commit();
    products_wait<0>();
    hold(d_weights);
    hold(d_queries);
  }
  __syncthreads();

  const float scales[2] = {scale, scale};
  store_rows<SIZE, ROWS>(dQkv + offset, stride, row, seq, d_queries, scales, queries);
}

// delta[i] = sum over a head's columns of dOut * out: 8 or 16 threads a row.
template <int SIZE>
DEVICE void deltas(float* delta, const bf16* dOut, const bf16* out, int batch, int seq, int heads) {
  constexpr int THREADS = SIZE / 8;
  i64 place = (i64)blockIdx.x * (blockDim.x / THREADS) + threadIdx.x / THREADS;
  bool valid = place < (i64)batch * seq * heads;
  float sum = 0;
  if (valid) {
    i64 from = place * SIZE + threadIdx.x % THREADS * 8;
    uint4 a = *(const uint4*)(dOut + from), b = *(const uint4*)(out + from);
    sum = low(a.x) * low(b.x) + high(a.x) * high(b.x) + low(a.y) * low(b.y) + high(a.y) * high(b.y) +
          low(a.z) * low(b.z) + high(a.z) * high(b.z) + low(a.w) * low(b.w) + high(a.w) * high(b.w);
  }
#pragma unroll
  for (int o = THREADS / 2; o > 0; o /= 2) sum += __shfl_xor_sync(FULL, sum, o);
  if (valid && threadIdx.x % THREADS == 0) {
    i64 token = place / heads;
    delta[(token / seq * heads + place % heads) * seq + token % seq] = sum;
  }
}

// ---- Entry points. N is batch * heads; launches are <<<grid, block, dynamic shared memory>>>.

// <<<N * ceil(seq / 128), 256, 81920>>>, MAX_DYNAMIC_SHARED must be raised
extern "C" __global__ void __launch_bounds__(256, 2)
attention_forward_64(bf16* out, float* lse, const bf16* qkv, int batch, int seq, int heads) {
  after_previous();
  forward<64, 2, 4>(out, lse, qkv, seq, heads);
}
// <<<N * ceil(seq / 128), 256, 98304>>>, MAX_DYNAMIC_SHARED must be raised
extern "C" __global__ void __launch_bounds__(256, 2)
attention_forward_128(bf16* out, float* lse, const bf16* qkv, int batch, int seq, int heads) {
  after_previous();
  forward<128, 2, 2>(out, lse, qkv, seq, heads);
}

// <<<ceil(N * seq / 32), 256, 0>>>
extern "C" __global__ void __launch_bounds__(256)
attention_delta_64(float* delta, const bf16* dOut, const bf16* out, int batch, int seq, int heads) {
  after_previous();
  deltas<64>(delta, dOut, out, batch, seq, heads);
}
// <<<ceil(N * seq / 16), 256, 0>>>
extern "C" __global__ void __launch_bounds__(256)
attention_delta_128(float* delta, const bf16* dOut, const bf16* out, int batch, int seq, int heads) {
  after_previous();
  deltas<128>(delta, dOut, out, batch, seq, heads);
}

// The backward pass is two kernels, in any order, after the deltas: dK and dV from one, dQ from the other.

// <<<N * ceil(seq / 64), 128, 66560>>>, MAX_DYNAMIC_SHARED must be raised
extern "C" __global__ void __launch_bounds__(128, 3)
attention_backward_keys_64(bf16* dQkv, const bf16* dOut, const bf16* qkv, const float* lse, const float* delta,
                           int batch, int seq, int heads) {
  after_previous();
  backward_keys<64, 3>(dQkv, dOut, qkv, lse, delta, seq, heads);
}
// <<<N * ceil(seq / 64), 128, 99328>>>, MAX_DYNAMIC_SHARED must be raised
extern "C" __global__ void __launch_bounds__(128, 2)
attention_backward_keys_128(bf16* dQkv, const bf16* dOut, const bf16* qkv, const float* lse, const float* delta,
                            int batch, int seq, int heads) {
  after_previous();
  backward_keys<128, 2>(dQkv, dOut, qkv, lse, delta, seq, heads);
}

// <<<N * ceil(seq / 128), 256, 98304>>>, MAX_DYNAMIC_SHARED must be raised
extern "C" __global__ void __launch_bounds__(256, 2)
attention_backward_queries_64(bf16* dQkv, const bf16* dOut, const bf16* qkv, const float* lse, const float* delta,
                              int batch, int seq, int heads) {
  after_previous();
  backward_queries<64, 2, 4>(dQkv, dOut, qkv, lse, delta, seq, heads);
}
// <<<N * ceil(seq / 64), 128, 98304>>>, MAX_DYNAMIC_SHARED must be raised
extern "C" __global__ void __launch_bounds__(128, 2)
attention_backward_queries_128(bf16* dQkv, const bf16* dOut, const bf16* qkv, const float* lse, const float* delta,
                               int batch, int seq, int heads) {
  after_previous();
  backward_queries<128, 1, 2>(dQkv, dOut, qkv, lse, delta, seq, heads);
}

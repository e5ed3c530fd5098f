// Products of many pairs of matrices of different sizes in one launch, for Hopper (sm_90a): what the experts of a
// layer ask for at the same time. bfloat16 in, float32 sums, and what follows a product in a feed-forward network
// is done to its sums before they leave the multiprocessor: bias, activation, and what its slope is multiplied with.
//
// A pair of blocks, a cluster, owns two neighbouring tiles of 128 x 256 results at a time and walks over all tiles
// in steps of the grid. In each block one thread has the copy engine bring 64 inner columns of both sides into a
// ring of stages in shared memory, and two groups of four warps multiply them, 64 rows each. What both tiles of a
// pair need is brought once, half by each block, for both. The copy engine also fills with zeros what lies beyond a
// matrix's end, so the inner size may be anything; rows that do not exist cost a group nothing.
//
// Each result is one sum over the inner columns in their order, whoever computes it: the same bits every time.

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

#define TILE_ROWS 128
#define TILE_COLUMNS 256
#define DEPTH 64                 // inner columns of a stage
#define STAGES 4
#define BOX 8192                 // bytes of 64 x 64 elements, what the copy engine brings at a time
#define LEFT_BYTES (2 * BOX)
#define STAGE_BYTES (6 * BOX)
#define GROUP 128                // threads of a group
#define BLOCK (3 * GROUP)        // one group brings, two multiply
#define SUM_WARPS 3              // of the group that brings, they sum columns of the right side
#define MOST_PARTS 8             // in which columns of the right side are summed
#define MOST_PRODUCTS 1024
#define STAGING 2048             // bytes in which a warp turns 16 rows of 64 results
#define STAGING_AT (STAGES * STAGE_BYTES)
#define BARRIERS_AT (STAGING_AT + 8 * STAGING)
#define VECTORS_AT (BARRIERS_AT + 2 * STAGES * 8)      // 256 floats a group: bias, or sums on their way
#define FIRST_AT (VECTORS_AT + 3 * TILE_COLUMNS * 4)

// As GroupedProducts.java writes it.
struct __align__(128) GroupedProduct {
  char left[128], right[128];    // tensor maps
  void* out;                     // rows x columns
  void* more;                    // a byte for each: GELU writes what is kept of its slopes; TIMES reads it
  const float* bias;             // of `columns`, or null
  float* rightSum;               // of `columns`: sums over the inner columns of the right side; or null
  int rows, columns, inner;
  int accumulate;                // whether to add to `out` and `rightSum`, both float32
  float* squares;                // of a gradient: sums of the squares of 16 x 256 results each, row by row; or null
  float* rightParts;             // MOST_PARTS at most x `columns`: what `rightSum` is the sum of
  i64 unused[8];
};

// As many as a kernel's arguments have room for.
#define FEW_PRODUCTS 10
struct FewProducts { GroupedProduct products[FEW_PRODUCTS]; };

enum Kind { PLAIN, GELU, TIMES, GRADIENT };

// ---- Barriers in shared memory ----

DEVICE u32 shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }

DEVICE void barrier_init(u32 barrier, u32 arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}
DEVICE void barrier_expect(u32 barrier, u32 bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
DEVICE void barrier_wait(u32 barrier, u32 parity) {
  asm volatile("{ .reg .pred done;\n"
               "again: mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
               "@!done bra again; }" ::"r"(barrier), "r"(parity) : "memory");
}
// Arrives at the barrier at this place in the shared memory of a block of the cluster.
DEVICE void barrier_arrive(u32 barrier, u32 block) {
  asm volatile("{ .reg .b32 remote;\n"
               "mapa.shared::cluster.u32 remote, %0, %1;\n"
               "mbarrier.arrive.shared::cluster.b64 _, [remote]; }" ::"r"(barrier), "r"(block) : "memory");
}
DEVICE u32 cluster_rank() {
  u32 rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
DEVICE void cluster_sync() {
  asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}

// ---- Shared and global memory, said to be so: what is known of an address only when the kernel runs costs time ----

DEVICE uint4 load_shared(u32 at) {
  uint4 x;
  asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w) : "r"(at) : "memory");
  return x;
}
DEVICE float load_shared_float(u32 at) {
  float x;
  asm volatile("ld.shared.f32 %0, [%1];" : "=f"(x) : "r"(at) : "memory");
  return x;
}
DEVICE float2 load_shared_two(u32 at) {
  float2 x;
  asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(x.x), "=f"(x.y) : "r"(at) : "memory");
  return x;
}
DEVICE void store_shared(u32 at, float x) { asm volatile("st.shared.f32 [%0], %1;" ::"r"(at), "f"(x) : "memory"); }
DEVICE void store_shared(u32 at, float2 x) {
  asm volatile("st.shared.v2.f32 [%0], {%1, %2};" ::"r"(at), "f"(x.x), "f"(x.y) : "memory");
}
// Sixteen bytes, or zeros.
DEVICE uint4 load_global(const void* at, bool there) {
  uint4 x;
  asm volatile("{ .reg .pred there; setp.ne.b32 there, %5, 0;\n"
               "mov.u32 %0, 0; mov.u32 %1, 0; mov.u32 %2, 0; mov.u32 %3, 0;\n"
               "@there ld.global.v4.u32 {%0, %1, %2, %3}, [%4]; }"
               : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w) : "l"(at), "r"((int)there));
  return x;
}
// Eight bytes, or zeros.
DEVICE uint2 load_global_bytes(const void* at, bool there) {
  uint2 x;
  asm volatile("{ .reg .pred there; setp.ne.b32 there, %3, 0;\n"
               "mov.u32 %0, 0; mov.u32 %1, 0;\n"
               "@there ld.global.v2.u32 {%0, %1}, [%2]; }" : "=r"(x.x), "=r"(x.y) : "l"(at), "r"((int)there));
  return x;
}
DEVICE float2 load_global_two(const float* at, bool there) {
  float2 x;
  asm volatile("{ .reg .pred there; setp.ne.b32 there, %3, 0;\n"
               "mov.f32 %0, 0f00000000; mov.f32 %1, 0f00000000;\n"
               "@there ld.global.v2.f32 {%0, %1}, [%2]; }" : "=f"(x.x), "=f"(x.y) : "l"(at), "r"((int)there));
  return x;
}
DEVICE void store_global(void* at, uint4 x, bool there) {
  asm volatile("{ .reg .pred there; setp.ne.b32 there, %5, 0;\n"
               "@there st.global.v4.u32 [%0], {%1, %2, %3, %4}; }"
               ::"l"(at), "r"(x.x), "r"(x.y), "r"(x.z), "r"(x.w), "r"((int)there) : "memory");
}
DEVICE void store_global(void* at, uint2 x, bool there) {
  asm volatile("{ .reg .pred there; setp.ne.b32 there, %3, 0;\n"
               "@there st.global.v2.u32 [%0], {%1, %2}; }" ::"l"(at), "r"(x.x), "r"(x.y), "r"((int)there) : "memory");
}
DEVICE void store_global(void* at, float x, float y, bool there) {
  asm volatile("{ .reg .pred there; setp.ne.b32 there, %3, 0;\n"
               "@there st.global.v2.f32 [%0], {%1, %2}; }" ::"l"(at), "f"(x), "f"(y), "r"((int)there) : "memory");
}

// The threads of a group that multiplies, and of the warps that sum.
DEVICE void group_sync(int group) { asm volatile("bar.sync %0, 128;" ::"r"(1 + group) : "memory"); }
DEVICE void sum_warps_sync() { asm volatile("bar.sync 3, 96;" ::: "memory"); }

// ---- The copy engine ----

DEVICE void map_acquire(const void* map) {
  asm volatile("fence.proxy.tensormap::generic.acquire.sys [%0], 128;" ::"l"(map) : "memory");
}
DEVICE void bring(u32 to, const void* map, int x, int y, u32 barrier) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];"
               ::"r"(to), "l"(map), "r"(x), "r"(y), "r"(barrier) : "memory");
}
// The same to both blocks of the cluster, each told by its own barrier.
DEVICE void bring_to_both(u32 to, const void* map, int x, int y, u32 barrier) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster "
               "[%0], [%1, {%2, %3}], [%4], %5;"
               ::"r"(to), "l"(map), "r"(x), "r"(y), "r"(barrier), "h"((u16)3) : "memory");
}

// ---- wgmma ----

// 64 x 256 sums of a group; a thread has columns 8*n + lane%4*2 + {0,1} of rows lane/4 (x[n][0..1]) and
// lane/4 + 8 (x[n][2..3]) of its warp's 16.
struct Sums { float x[32][4]; };

DEVICE void hold(Sums& sums) {
#pragma unroll
  for (int n = 0; n < 32; n++)
#pragma unroll
    for (int i = 0; i < 4; i++) asm volatile("" : "+f"(sums.x[n][i])::"memory");
}

#define FOUR(s, n) "+f"(s.x[n][0]), "+f"(s.x[n][1]), "+f"(s.x[n][2]), "+f"(s.x[n][3])
#define SIXTEEN(s, n) FOUR(s, n), FOUR(s, n + 1), FOUR(s, n + 2), FOUR(s, n + 3)

// Inner columns lie beside each other in memory (of either side), or inner rows below each other.
#define WGMMA(sums, left, right, add, leftDown, rightDown) \
  asm volatile( \
      "{ .reg .pred adds; setp.ne.b32 adds, %130, 0;\n" \
      "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 " \
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, " \
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, " \
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, " \
      "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, " \
      "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127}, " \
      "%128, %129, adds, 1, 1, " #leftDown ", " #rightDown "; }" \
      : SIXTEEN(sums, 0), SIXTEEN(sums, 4), SIXTEEN(sums, 8), SIXTEEN(sums, 12), SIXTEEN(sums, 16), \
        SIXTEEN(sums, 20), SIXTEEN(sums, 24), SIXTEEN(sums, 28) \
      : "l"(left), "l"(right), "r"(add) \
      : "memory")

// Of 128-byte rows, swizzled within 8 of them. Rows of inner columns: 8 rows further is 1024 bytes further. Rows
// below each other: the next 8 inner ones are 1024 bytes further, the next 64 outer ones a box. A descriptor has room
// for the address within a block alone, without the rank in its cluster, which the upper bits tell.
template <bool DOWN>
DEVICE u64 descriptor(u32 address) {
  return (1ull << 62 | 64ull << 32 | (DOWN ? (u64)(BOX / 16) << 16 : 0)) | (address & 0x3ffff) >> 4;
}

// sums (+)= left * right, of one stage.
template <bool LEFT_DOWN, bool RIGHT_DOWN>
DEVICE void multiply(Sums& sums, u32 left, u32 right, bool add) {
#pragma unroll
  for (int k = 0; k < DEPTH / 16; k++) {
    u64 own = descriptor<LEFT_DOWN>(left + k * (LEFT_DOWN ? 2048 : 32));
    u64 from = descriptor<RIGHT_DOWN>(right + k * (RIGHT_DOWN ? 2048 : 32));
    int adds = add || k > 0;
    if constexpr (LEFT_DOWN) WGMMA(sums, own, from, adds, 1, 1);
    else if constexpr (RIGHT_DOWN) WGMMA(sums, own, from, adds, 0, 1);
    else WGMMA(sums, own, from, adds, 0, 0);
  }
}
DEVICE void products_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void products_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int LATER>
DEVICE void products_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(LATER) : "memory"); }

// ---- Which tiles are whose ----

DEVICE int row_tiles(const GroupedProduct& p) { return (p.rows + TILE_ROWS - 1) / TILE_ROWS; }
DEVICE int column_tiles(const GroupedProduct& p) { return (p.columns + TILE_COLUMNS - 1) / TILE_COLUMNS; }

// Pairs of tiles of a product: two below each other share the right side; of an odd number of rows of tiles the last
// one's are beside each other, and share the left side.
DEVICE int pairs_of(const GroupedProduct& p) {
  int rows = row_tiles(p), columns = column_tiles(p);
  return rows / 2 * columns + rows % 2 * ((columns + 1) / 2);
}

// A walk over this block's tiles; all threads of a cluster walk alike.
struct Walk {
  const GroupedProduct* product;
  int row, column;     // of the tile's first result
  int steps;
  bool sharesLeft;
  int pair, index;
};

DEVICE Walk walk_begin() {
  Walk walk;
  walk.pair = blockIdx.x / 2 - gridDim.x / 2;
  walk.index = 0;
  return walk;
}

DEVICE bool walk_next(Walk& walk, const GroupedProduct* products, const int* first, int count, u32 rank) {
  walk.pair += gridDim.x / 2;
  if (walk.pair >= first[count]) return false;
  while (walk.pair >= first[walk.index + 1]) walk.index++;
  const GroupedProduct& p = products[walk.index];
  int local = walk.pair - first[walk.index];
  int rows = row_tiles(p), columns = column_tiles(p), whole = rows / 2 * columns;
  walk.sharesLeft = local >= whole;
  if (walk.sharesLeft) {
    walk.row = (rows - 1) * TILE_ROWS;
    walk.column = (2 * (local - whole) + rank) * TILE_COLUMNS;
  } else {
    // Askew, so that all blocks get their share of the rows in whose tiles columns are summed.
    int half = rows / 2, column = local / half;
    walk.row = ((local + column) % half * 2 + rank) * TILE_ROWS;
    walk.column = column * TILE_COLUMNS;
  }
  walk.product = &p;
  walk.steps = (p.inner + DEPTH - 1) / DEPTH;
  return true;
}

// Where the ring is: `turn` is the parity of its current round.
struct Ring { u32 stage, turn; };
DEVICE void advance(Ring& ring) {
  if (++ring.stage == STAGES) {
    ring.stage = 0;
    ring.turn ^= 1;
  }
}

DEVICE u32 filled(u32 shared, u32 stage) { return shared + BARRIERS_AT + stage * 8; }
DEVICE u32 emptied(u32 shared, u32 stage) { return shared + BARRIERS_AT + (STAGES + stage) * 8; }

// A warp is done with a stage: both blocks have to know, since each brings parts for both.
DEVICE void release(u32 shared, u32 stage) {
  int lane = threadIdx.x % WARP;
  if (lane < 2) barrier_arrive(emptied(shared, stage), lane);
}

// ---- One thread brings ----

template <bool DOWN>
DEVICE void bring_box(u32 to, const void* map, int inner, int outer, u32 barrier, bool both) {
  int x = DOWN ? outer : inner, y = DOWN ? inner : outer;
  if (both) bring_to_both(to, map, x, y, barrier);
  else bring(to, map, x, y, barrier);
}

template <bool LEFT_DOWN, bool RIGHT_DOWN>
DEVICE void bring_all(u32 shared, const GroupedProduct* products, bool acquires, const int* first, int count, u32 rank) {
  Walk walk = walk_begin();
  Ring ring = {0, 1};  // the first round finds all stages empty
  const GroupedProduct* acquired = nullptr;
  while (walk_next(walk, products, first, count, rank)) {
    const GroupedProduct* p = walk.product;
    if (acquires && p != acquired) {
      map_acquire(p->left);
      map_acquire(p->right);
      acquired = p;
    }
    for (int step = 0; step < walk.steps; step++) {
      u32 barrier = filled(shared, ring.stage);
      barrier_wait(emptied(shared, ring.stage), ring.turn);
      barrier_expect(barrier, STAGE_BYTES);
      u32 left = shared + ring.stage * STAGE_BYTES, right = left + LEFT_BYTES;
      int inner = step * DEPTH;
      if (walk.sharesLeft) {
        bring_box<LEFT_DOWN>(left + rank * BOX, p->left, inner, walk.row + rank * 64, barrier, true);
        for (int i = 0; i < 4; i++)
          bring_box<RIGHT_DOWN>(right + i * BOX, p->right, inner, walk.column + i * 64, barrier, false);
      } else {
        for (int i = 0; i < 2; i++)
          bring_box<LEFT_DOWN>(left + i * BOX, p->left, inner, walk.row + i * 64, barrier, false);
        for (int i = 2 * rank; i < 2 * rank + 2; i++)
          bring_box<RIGHT_DOWN>(right + i * BOX, p->right, inner, walk.column + i * 64, barrier, true);
      }
      advance(ring);
    }
  }
}

// ---- Three warps sum the columns of the right side: the gradient of a bias ----
// They are slower than the products. So the tiles below each other, which all have the same right side, share its inner
// rows: of the first few each sums those of every so-manieth stage. In one, warps take every third inner row, a thread
// eight columns; the first one adds what the others have. `grouped_tn_sums` adds up the tiles' parts.

DEVICE int right_parts(const GroupedProduct& p) {
  int rows = row_tiles(p);
  return rows < MOST_PARTS ? rows : MOST_PARTS;
}

DEVICE void add_pair(float* sum, u32 pair) {
  sum[0] += low(pair);
  sum[1] += high(pair);
}

DEVICE void sum_right(u32 shared, const GroupedProduct* products, const int* first, int count, u32 rank) {
  Walk walk = walk_begin();
  Ring ring = {0, 0};
  int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP - 1;
  u32 box = LEFT_BYTES + lane / 8 * BOX, vectors = shared + VECTORS_AT + lane * 32;
  while (walk_next(walk, products, first, count, rank)) {
    const GroupedProduct& p = *walk.product;
    int part = walk.row / TILE_ROWS, parts = right_parts(p);
    bool sums = p.rightSum && part < parts;
    int next = sums ? part : walk.steps;
    float sum[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    for (int step = 0; step < walk.steps; step++) {
      barrier_wait(filled(shared, ring.stage), ring.turn);
      if (step == next) {
        next += parts;
        u32 from = shared + ring.stage * STAGE_BYTES + box;
#pragma unroll 4
        for (int k = warp; k < DEPTH; k += SUM_WARPS) {
          uint4 x = load_shared(from + k * 128 + ((lane % 8 ^ (k & 7)) << 4));
          add_pair(sum, x.x);
          add_pair(sum + 2, x.y);
          add_pair(sum + 4, x.z);
          add_pair(sum + 6, x.w);
        }
      }
      __syncwarp();
      release(shared, ring.stage);
      advance(ring);
    }
    if (!sums) continue;
    if (warp > 0) {
#pragma unroll
      for (int i = 0; i < 8; i++) store_shared(vectors + warp * TILE_COLUMNS * 4 + i * 4, sum[i]);
    }
    sum_warps_sync();
    int at = walk.column + lane * 8;
    if (warp == 0 && at < p.columns) {
      float* to = p.rightParts + (i64)part * p.columns + at;
#pragma unroll
      for (int i = 0; i < 8; i++) {
        float total = sum[i];
#pragma unroll
        for (int other = 1; other < SUM_WARPS; other++)
          total += load_shared_float(vectors + other * TILE_COLUMNS * 4 + i * 4);
        to[i] = total;
      }
    }
    sum_warps_sync();
  }
}

// ---- What happens to sums before they are stored ----

DEVICE void store_matrices(u32 at, u32 a, u32 b, u32 c, u32 d) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};"
               ::"r"(at), "r"(a), "r"(b), "r"(c), "r"(d) : "memory");
}

DEVICE float gelu(float half, float& slope) { return Gelu::of_half(half, KEPT_SCALE, KEPT_OFFSET, slope); }
// Of two pairs, in place; returns what is kept of the four slopes.
DEVICE u32 gelu(u32& first, u32& second) {
  float a, b, c, d;
  u32 ab = pack(gelu(low(first), a), gelu(high(first), b)), cd = pack(gelu(low(second), c), gelu(high(second), d));
  first = ab;
  second = cd;
  return kept_slopes(a, b, c, d);
}
DEVICE u32 times(u32 pair, u32 by) {
  u32 product;
  asm("mul.rn.bf16x2 %0, %1, %2;" : "=r"(product) : "r"(pair), "r"(by));
  return product;
}

// A warp's 16 rows as bfloat16. In registers each thread has pieces of 4 bytes of many rows; by way of shared memory
// they become pieces of 16 bytes, 128 bytes of a row beside each other, and of 8 bytes of slopes. What is
// rounded here is rounded as if it had been stored in between.
struct Rows {
  i64 at;          // of this thread's first piece, in elements
  int stride;      // from one row's to the next but three
  int rows;        // that there are from this thread's first
  int columns;     // likewise
};
DEVICE Rows rows_of(const GroupedProduct& p, int row, int column) {
  int lane = threadIdx.x % WARP, r = row + lane / 8, c = column + lane % 8 * 8;
  Rows rows = {(i64)r * p.columns + c, 4 * p.columns, p.rows - r, p.columns - c};
  return rows;
}
DEVICE bool has(const Rows& rows, int part, int i) { return i * 4 < rows.rows && part * 64 < rows.columns; }

// What this thread multiplies with. All of it is asked for at once, while the last products run: it comes from far.
struct Slopes { uint2 x[TILE_COLUMNS / 64][4]; };
DEVICE void load_slopes(Slopes& slopes, const u8* from, const Rows& rows) {
#pragma unroll
  for (int part = 0; part < TILE_COLUMNS / 64; part++)
#pragma unroll
    for (int i = 0; i < 4; i++)
      slopes.x[part][i] = load_global_bytes(from + rows.at + part * 64 + (i64)i * rows.stride, has(rows, part, i));
}

// Two results before the activation. GELU wants halves of them, and has its bias halved already.
template <int KIND>
DEVICE u32 rounded(float x, float y, float2 bias) {
  return KIND == GELU ? pack(fmaf(0.5f, x, bias.x), fmaf(0.5f, y, bias.y)) : pack(x + bias.x, y + bias.y);
}

template <int KIND>
DEVICE void finish(Sums& sums, const GroupedProduct& p, const Rows& rows, const Slopes& slopes, u32 bias, u32 staging) {
  int lane = threadIdx.x % WARP;
  bf16* out = (bf16*)p.out;
  u8* more = (u8*)p.more;
#pragma unroll
  for (int part = 0; part < TILE_COLUMNS / 64; part++) {
    float2 b[8];
    if constexpr (KIND == PLAIN || KIND == GELU) {
#pragma unroll
      for (int j = 0; j < 8; j++) b[j] = load_shared_two(bias + (part * 64 + j * 8 + lane % 4 * 2) * 4);
    } else {
#pragma unroll
      for (int j = 0; j < 8; j++) b[j] = make_float2(0, 0);
    }
    __syncwarp();
#pragma unroll
    for (int j = 0; j < 8; j += 2) {
      float* x = sums.x[part * 8 + j];
      float* y = sums.x[part * 8 + j + 1];
      int r = lane % 16, chunk = j + lane / 16;
      store_matrices(staging + r * 128 + ((chunk ^ (r & 7)) << 4),
                     rounded<KIND>(x[0], x[1], b[j]), rounded<KIND>(x[2], x[3], b[j]),
                     rounded<KIND>(y[0], y[1], b[j + 1]), rounded<KIND>(y[2], y[3], b[j + 1]));
    }
    __syncwarp();
    uint4 x[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
      int r = i * 4 + lane / 8;
      x[i] = load_shared(staging + r * 128 + ((lane % 8 ^ (r & 7)) << 4));
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
      i64 at = rows.at + part * 64 + (i64)i * rows.stride;
      bool there = has(rows, part, i);
      if constexpr (KIND == TIMES) {
        uint2 by = slopes.x[part][i];
        x[i] = make_uint4(times(x[i].x, slopes_of<0>(by.x)), times(x[i].y, slopes_of<1>(by.x)),
                          times(x[i].z, slopes_of<0>(by.y)), times(x[i].w, slopes_of<1>(by.y)));
      }
      if constexpr (KIND == GELU) {
        u32 first = gelu(x[i].x, x[i].y), second = gelu(x[i].z, x[i].w);
        store_global(more + at, make_uint2(first, second), there);
      }
      store_global(out + at, x[i], there);
    }
  }
}

// A warp's 16 rows as float32, straight from registers: four threads fill a sector. Where they go is read before the
// sums are there: what describes a product is far away. Their squares are summed on the way, for the gradient's norm
// would have to read all of them again.
struct Exact {
  float* out;          // this thread's first
  i64 further;         // eight rows further
  int room[2];         // columns that there are from the thread's first on, in its two rows
  bool accumulate;
  float* squares;      // of its warp
};
DEVICE Exact exact_of(const GroupedProduct& p, int row, int column) {
  int lane = threadIdx.x % WARP, r = row + lane / 4, c = column + lane % 4 * 2;
  Exact exact = {(float*)p.out + (i64)r * p.columns + c, 8 * (i64)p.columns,
                 {r < p.rows ? p.columns - c : 0, r + 8 < p.rows ? p.columns - c : 0}, p.accumulate != 0,
                 p.squares ? p.squares + row / 16 * column_tiles(p) + column / TILE_COLUMNS : nullptr};
  return exact;
}
DEVICE void finish_exact(Sums& sums, const Exact& exact) {
  float2 squares = make_float2(0, 0);
#pragma unroll
  for (int i = 0; i < 2; i++) {
    float* out = exact.out + i * exact.further;
    int room = exact.room[i];
    if (exact.accumulate) {
#pragma unroll
      for (int part = 0; part < 32; part += 16) {
        float2 old[16];
#pragma unroll
        for (int n = 0; n < 16; n++) old[n] = load_global_two(out + (part + n) * 8, (part + n) * 8 < room);
#pragma unroll
        for (int n = 0; n < 16; n++) {
          sums.x[part + n][2 * i] += old[n].x;
          sums.x[part + n][2 * i + 1] += old[n].y;
        }
      }
    }
#pragma unroll
    for (int n = 0; n < 32; n++) {
      float x = sums.x[n][2 * i], y = sums.x[n][2 * i + 1];
      store_global(out + n * 8, x, y, n * 8 < room);
      // Beyond the matrix's end these are zeros; or not numbers, but then neither is something before it.
      squares.x += x * x;
      squares.y += y * y;
    }
  }
  float sum = warp_sum(squares.x + squares.y);
  if (threadIdx.x % WARP == 0 && exact.squares && exact.room[0] > 0) *exact.squares = sum;
}

// ---- Two groups multiply ----

template <bool LEFT_DOWN, bool RIGHT_DOWN, int KIND>
DEVICE void multiply_all(u32 shared, const GroupedProduct* products, const int* first, int count, u32 rank) {
  // The same in all threads of a warp, in a way that the compiler sees: wgmma takes its addresses from uniform registers.
  int group = __shfl_sync(FULL, threadIdx.x / GROUP, 0) - 1, warp = threadIdx.x % GROUP / WARP;
  u32 staging = shared + STAGING_AT + (group * 4 + warp) * STAGING;
  Walk walk = walk_begin();
  Ring ring = {0, 0};
  while (walk_next(walk, products, first, count, rank)) {
    const GroupedProduct& p = *walk.product;
    int row = walk.row + group * 64;
    if (row >= p.rows || walk.column >= p.columns) {
      for (int step = 0; step < walk.steps; step++) {
        barrier_wait(filled(shared, ring.stage), ring.turn);
        release(shared, ring.stage);
        advance(ring);
      }
      continue;
    }
    Sums sums;
    // A compiler of CUDA 12 has each wgmma wait for the one before, unless sums are set on every way to the loop.
    if (walk.steps == 0 || __CUDACC_VER_MAJOR__ < 13) {
#pragma unroll
      for (int n = 0; n < 32; n++)
#pragma unroll
        for (int i = 0; i < 4; i++) sums.x[n][i] = 0;
    }
    float2 bias = make_float2(0, 0);
    int at = walk.column + threadIdx.x % GROUP * 2;
    if constexpr (KIND == PLAIN || KIND == GELU)
      if (p.bias && at < p.columns) bias = *(const float2*)(p.bias + at);
    if constexpr (KIND == GELU) bias = make_float2(0.5f * bias.x, 0.5f * bias.y);
    Rows rows = rows_of(p, row + warp * 16, walk.column);
    Exact exact = exact_of(p, row + warp * 16, walk.column);
    Slopes slopes = {};
    u32 before = 0;
    for (int step = 0; step < walk.steps; step++) {
      barrier_wait(filled(shared, ring.stage), ring.turn);
      u32 left = shared + ring.stage * STAGE_BYTES;
      hold(sums);
      products_begin();
      multiply<LEFT_DOWN, RIGHT_DOWN>(sums, left + group * BOX, left + LEFT_BYTES, step > 0);
      products_commit();
      if constexpr (KIND == TIMES)
        if (step == walk.steps - 1) load_slopes(slopes, (const u8*)p.more, rows);
      products_wait<1>();
      if (step > 0) release(shared, before);
      before = ring.stage;
      advance(ring);
    }
    products_wait<0>();
    hold(sums);
    if (walk.steps > 0) release(shared, before);
    if constexpr (KIND == GRADIENT) finish_exact(sums, exact);
    else {
      u32 vector = shared + VECTORS_AT + group * TILE_COLUMNS * 4;
      if constexpr (KIND != TIMES) {
        store_shared(vector + threadIdx.x % GROUP * 8, bias);
        group_sync(group);
      }
      finish<KIND>(sums, p, rows, slopes, vector, staging);
      if constexpr (KIND != TIMES) group_sync(group);
    }
  }
}

template <bool LEFT_DOWN, bool RIGHT_DOWN, int KIND>
DEVICE void grouped(const FewProducts& few, const GroupedProduct* many, int count) {
  const GroupedProduct* products = many ? many : few.products;
  extern __shared__ char memory[];
  u32 shared = (shared_address(memory) + 1023) / 1024 * 1024;
  int* first = (int*)(memory + (shared - shared_address(memory)) + FIRST_AT);
  u32 rank = cluster_rank();
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < STAGES; stage++) {
      barrier_init(filled(shared, stage), 1);
      barrier_init(emptied(shared, stage), 2 * (8 + (KIND == GRADIENT ? SUM_WARPS : 0)));
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  if (many) after_previous();
  for (int i = threadIdx.x; i < count; i += BLOCK) first[i + 1] = pairs_of(products[i]);
  __syncthreads();
  if (threadIdx.x == 0) {
    first[0] = 0;
    for (int i = 0; i < count; i++) first[i + 1] += first[i];
  }
  after_previous();
  __syncthreads();
  cluster_sync();
  if (threadIdx.x < GROUP) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 56;");
    int warp = threadIdx.x / WARP;
    if (threadIdx.x == 0) {
      bring_all<LEFT_DOWN, RIGHT_DOWN>(shared, products, many != nullptr, first, count, rank);
    } else if (KIND == GRADIENT && warp > 0 && warp <= SUM_WARPS) {
      sum_right(shared, products, first, count, rank);
    }
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 224;");
    multiply_all<LEFT_DOWN, RIGHT_DOWN, KIND>(shared, products, first, count, rank);
  }
  __syncwarp();
  // Neither block ends while the other may still write to its shared memory.
  cluster_sync();
}

// <<<2 * clusters, 384, FIRST_AT + 4 * 1025 + 1024>>> each, on clusters of 2; one block a multiprocessor. `count` products,
// of `many` in global memory, at most 1024; or, where that is null, of `few`.

#define GROUPED(name) extern "C" __global__ void __cluster_dims__(2, 1, 1) __launch_bounds__(BLOCK, 1) \
  name(const __grid_constant__ FewProducts few, const GroupedProduct* many, int count)

// out = left right + bias
GROUPED(grouped_nn) { grouped<false, true, PLAIN>(few, many, count); }

// out = gelu(left right + bias); more = what is kept of gelu'(left right + bias)
GROUPED(grouped_nn_gelu) { grouped<false, true, GELU>(few, many, count); }

// out = left right^T
GROUPED(grouped_nt) { grouped<false, false, PLAIN>(few, many, count); }

// out = (left right^T) * the slopes kept in more
GROUPED(grouped_nt_times) { grouped<false, false, TIMES>(few, many, count); }

// out (+)= left^T right, float32; rightParts = parts of the sums over the rows of right
GROUPED(grouped_tn) { grouped<true, true, GRADIENT>(few, many, count); }

// rightSum (+)= sum over rightParts. <<<(ceil(most columns / 256), count), 256>>>, of the same products as before it.
extern "C" __global__ void __launch_bounds__(256)
grouped_tn_sums(const __grid_constant__ FewProducts few, const GroupedProduct* many) {
  after_previous();
  const GroupedProduct& p = (many ? many : few.products)[blockIdx.y];
  int column = blockIdx.x * 256 + threadIdx.x;
  if (!p.rightSum || column >= p.columns) return;
  int parts = right_parts(p);
  float part[MOST_PARTS];
#pragma unroll
  for (int i = 0; i < MOST_PARTS; i++) part[i] = i < parts ? p.rightParts[(i64)i * p.columns + column] : 0;
  float sum = p.accumulate ? p.rightSum[column] : 0;
#pragma unroll
  for (int i = 0; i < MOST_PARTS; i++) sum += part[i];
  p.rightSum[column] = sum;
}

#endif

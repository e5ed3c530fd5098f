// The kernels that memory bandwidth bounds: everything but matrix products and attention.
//
// Arithmetic is in float32 (sums of squares in float64) whatever the element type. No sum uses atomics: each is
// taken in an order that the arguments fix. Sizes and addresses are free, unless a kernel says otherwise; where they
// allow it, and a kernel asks that once and for all its threads, accesses are 16 bytes wide. Any grid gives the right
// result where a comment says "any grid"; the one named is fast. `ceil(a / b)` rounds up.

// ---- Packs: neighbouring elements of one row, as floats ----

template <int N>
struct Pack { float x[N]; };

template <int N>
struct PackPair { Pack<N> a, b; };

template <int N>
DEVICE Pack<N> pack_of(float value) {
  Pack<N> p;
#pragma unroll
  for (int j = 0; j < N; j++) p.x[j] = value;
  return p;
}

DEVICE Pack<8> unpack(uint4 bits) {
  Pack<8> p = {{low(bits.x), high(bits.x), low(bits.y), high(bits.y),
                low(bits.z), high(bits.z), low(bits.w), high(bits.w)}};
  return p;
}

template <int N>
DEVICE Pack<N> load(const bf16* from) {
  static_assert(N == 8 || N == 4 || N == 1, "width");
  if constexpr (N == 8) {
    return unpack(*(const uint4*)from);
  } else if constexpr (N == 4) {
    uint2 bits = *(const uint2*)from;
    Pack<N> p = {{low(bits.x), high(bits.x), low(bits.y), high(bits.y)}};
    return p;
  } else {
    Pack<N> p = {{to_float(*from)}};
    return p;
  }
}

template <int N>
DEVICE Pack<N> load(const float* from) {
  static_assert(N % 4 == 0 || N == 1, "width");
  Pack<N> p;
  if constexpr (N == 1) {
    p.x[0] = *from;
  } else {
#pragma unroll
    for (int j = 0; j < N; j += 4) {
      float4 four = *(const float4*)(from + j);
      p.x[j] = four.x;
      p.x[j + 1] = four.y;
      p.x[j + 2] = four.z;
      p.x[j + 3] = four.w;
    }
  }
  return p;
}

template <int N>
DEVICE void store(bf16* to, const Pack<N>& p) {
  if constexpr (N == 8) {
    *(uint4*)to =
        make_uint4(pack(p.x[0], p.x[1]), pack(p.x[2], p.x[3]), pack(p.x[4], p.x[5]), pack(p.x[6], p.x[7]));
  } else if constexpr (N == 4) {
    *(uint2*)to = make_uint2(pack(p.x[0], p.x[1]), pack(p.x[2], p.x[3]));
  } else {
    *to = to_bf16(p.x[0]);
  }
}

template <int N>
DEVICE void store(float* to, const Pack<N>& p) {
  if constexpr (N == 1) {
    *to = p.x[0];
  } else {
#pragma unroll
    for (int j = 0; j < N; j += 4) *(float4*)(to + j) = make_float4(p.x[j], p.x[j + 1], p.x[j + 2], p.x[j + 3]);
  }
}

template <int N>
DEVICE void add_to(Pack<N>& sum, const Pack<N>& p) {
#pragma unroll
  for (int j = 0; j < N; j++) sum.x[j] += p.x[j];
}

template <int N>
DEVICE Pack<N> bf16_rounded(Pack<N> p) {
#pragma unroll
  for (int j = 0; j < N; j++) p.x[j] = to_float(to_bf16(p.x[j]));
  return p;
}

// Whether rows of `columns` elements at these addresses can be accessed N elements at a time.
template <int N, typename... X>
DEVICE bool fits(int columns, const X*... at) {
  return ((columns % N) + ... + (int)((u64)at % (N * sizeof(X) < 16 ? N * sizeof(X) : 16))) == 0;
}

// ---- Walks: how threads share the work ----

// Calls use(i, load(i)) for i = first, first + step, ... below `end`, in order. UNROLL loads are under way before
// the first is used: a kernel's stores may alias what it reads, so that the compiler could not move loads itself.
template <int UNROLL, typename Load, typename Use>
DEVICE void walk(i64 first, i64 end, i64 step, Load load, Use use) {
  i64 i = first;
  for (; i + (UNROLL - 1) * step < end; i += UNROLL * step) {
    decltype(load(i)) held[UNROLL];
#pragma unroll
    for (int u = 0; u < UNROLL; u++) held[u] = load(i + u * step);
#pragma unroll
    for (int u = 0; u < UNROLL; u++) use(i + u * step, held[u]);
  }
  if constexpr (UNROLL > 1) walk<UNROLL / 2>(i, end, step, load, use);
}

// sum += row(i) for i = first, first + step, ... below `end`, in order.
template <int UNROLL, int N, typename Row>
DEVICE void add_rows(Pack<N>& sum, i64 first, i64 end, i64 step, Row row) {
  walk<UNROLL>(first, end, step, row, [&](i64, const Pack<N>& p) { add_to(sum, p); });
}

// Elements first..end, a multiple of N of them, by all threads of the grid.
template <int N, typename Load, typename Use>
DEVICE void sweep(i64 first, i64 end, Load load, Use use) {
  i64 thread = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  walk<4>(first + thread * N, end, (i64)gridDim.x * blockDim.x * N, load, use);
}

// How many of n elements go by packs; single elements do the rest.
template <int N, typename... X>
DEVICE i64 in_packs(i64 n, const X*... at) { return fits<N>(0, at...) ? n - n % N : 0; }

// The contiguous share of the rows that part `part` of `parts` owns.
struct Share { i64 first, end; };
DEVICE Share share_of(int rows, int part, int parts) {
  Share share = {(i64)rows * part / parts, (i64)rows * (part + 1) / parts};
  return share;
}

// A strip is the columns of the 32 packs of a warp. Blocks along x share the strips, warps and blocks along y the
// rows: a lane has the same columns in all its rows, and what belongs to a column stays in its registers.
#define FOR_STRIPS(N, columns) for (int strip = blockIdx.x; strip * WARP * N < columns; strip += gridDim.x)
template <int N>
DEVICE int strip_column(int strip) { return (strip * WARP + (int)threadIdx.x % WARP) * N; }

// Sums each column of a strip over the warps of the block in their order; thread t has column t of the strip.
// `scratch` has place for the strips of all warps and may be used again at once.
template <int N>
DEVICE float across_warps(float* scratch, const Pack<N>& part) {
  __syncthreads();
  store(scratch + threadIdx.x * N, part);
  __syncthreads();
  float sum = 0;
  if (threadIdx.x < WARP * N) {
    for (int w = 0; w < blockDim.x / WARP; w++) sum += scratch[w * WARP * N + threadIdx.x];
  }
  return sum;
}

// The first row of a warp, and how far on its next one is, where the blocks along y share all rows.
DEVICE i64 row_of_warp() { return (i64)blockIdx.y * (blockDim.x / WARP) + threadIdx.x / WARP; }
DEVICE i64 row_step() { return (i64)gridDim.y * (blockDim.x / WARP); }

// ---- Element by element ----
// All of this section: any grid.

template <int N, typename X>
DEVICE void fill_range(X* x, i64 first, i64 end, float value) {
  sweep<N>(
      first, end, [&](i64) { return pack_of<N>(value); }, [&](i64 i, const Pack<N>& p) { store(x + i, p); });
}

template <typename X>
DEVICE void fill(X* x, i64 n, float value) {
  constexpr int N = 16 / sizeof(X);
  i64 wide = in_packs<N>(n, x);
  fill_range<N>(x, 0, wide, value);
  fill_range<1>(x, wide, n, value);
}

template <int N, typename Out, typename A, typename F>
DEVICE void map_range(Out* out, const A* a, i64 first, i64 end, F f) {
  sweep<N>(
      first, end, [&](i64 i) { return load<N>(a + i); },
      [&](i64 i, Pack<N> p) {
#pragma unroll
        for (int j = 0; j < N; j++) p.x[j] = f(p.x[j]);
        store(out + i, p);
      });
}

// out[i] = f(a[i]). The wider of the two types fills 16 bytes, so that every access of a warp is contiguous.
template <typename Out, typename A, typename F>
DEVICE void map(Out* out, const A* a, i64 n, F f) {
  constexpr int N = 16 / (sizeof(Out) > sizeof(A) ? sizeof(Out) : sizeof(A));
  i64 wide = in_packs<N>(n, out, a);
  map_range<N>(out, a, 0, wide, f);
  map_range<1>(out, a, wide, n, f);
}

template <int N, typename X, typename F>
DEVICE void map_range(X* out, const X* a, const X* b, i64 first, i64 end, F f) {
  sweep<N>(
      first, end,
      [&](i64 i) {
        PackPair<N> both = {load<N>(a + i), load<N>(b + i)};
        return both;
      },
      [&](i64 i, PackPair<N> both) {
#pragma unroll
        for (int j = 0; j < N; j++) both.a.x[j] = f(both.a.x[j], both.b.x[j]);
        store(out + i, both.a);
      });
}

// out[i] = f(a[i], b[i]).
template <typename X, typename F>
DEVICE void map(X* out, const X* a, const X* b, i64 n, F f) {
  constexpr int N = 16 / sizeof(X);
  i64 wide = in_packs<N>(n, out, a, b);
  map_range<N>(out, a, b, 0, wide, f);
  map_range<1>(out, a, b, wide, n, f);
}

// <<<ceil(n / 4096), 256>>>
extern "C" __global__ void __launch_bounds__(256) fill_f32(float* x, i64 n, float v) { after_previous(); fill(x, n, v); }

// <<<ceil(n / 8192), 256>>>
extern "C" __global__ void __launch_bounds__(256) fill_bf16(bf16* x, i64 n, float v) { after_previous(); fill(x, n, v); }

// <<<ceil(n / 4096), 256>>>
extern "C" __global__ void __launch_bounds__(256) cast_f32_bf16(bf16* out, const float* in, i64 n) {
  after_previous();
  map(out, in, n, [](float x) { return x; });
}

// <<<ceil(n / 4096), 256>>>
extern "C" __global__ void __launch_bounds__(256) cast_bf16_f32(float* out, const bf16* in, i64 n) {
  after_previous();
  map(out, in, n, [](float x) { return x; });
}

// <<<ceil(n / 8192), 256>>>
extern "C" __global__ void __launch_bounds__(256) add_bf16(bf16* out, const bf16* in, i64 n) {
  after_previous();
  map(out, out, in, n, [](float x, float y) { return x + y; });
}

// <<<ceil(n / 4096), 256>>>
extern "C" __global__ void __launch_bounds__(256) add_f32(float* out, const float* in, i64 n) {
  after_previous();
  map(out, out, in, n, [](float x, float y) { return x + y; });
}

// <<<ceil(n / 8192), 256>>>; out may be a or b
extern "C" __global__ void __launch_bounds__(256) multiply_bf16(bf16* out, const bf16* a, const bf16* b, i64 n) {
  after_previous();
  map(out, a, b, n, [](float x, float y) { return x * y; });
}

// <<<ceil(n / 4096), 256>>>; out may be a or b
extern "C" __global__ void __launch_bounds__(256) multiply_f32(float* out, const float* a, const float* b, i64 n) {
  after_previous();
  map(out, a, b, n, [](float x, float y) { return x * y; });
}

// <<<ceil(n / 8192), 256>>>
extern "C" __global__ void __launch_bounds__(256) scale_bf16(bf16* x, i64 n, float factor) {
  after_previous();
  map(x, x, n, [=](float y) { return y * factor; });
}

// <<<ceil(n / 4096), 256>>>
extern "C" __global__ void __launch_bounds__(256) scale_f32(float* x, i64 n, float factor) {
  after_previous();
  map(x, x, n, [=](float y) { return y * factor; });
}

// ---- Bias and its gradient ----

template <int N, typename X>
DEVICE void add_bias(X* x, const float* bias, int rows, int columns) {
  FOR_STRIPS(N, columns) {
    int c = strip_column<N>(strip);
    if (c >= columns) continue;
    Pack<N> b = load<N>(bias + c);
    walk<4>(
        row_of_warp(), rows, row_step(), [&](i64 r) { return load<N>(x + r * columns + c); },
        [&](i64 r, Pack<N> p) {
          add_to(p, b);
          store(x + r * columns + c, p);
        });
  }
}

// <<<(ceil(columns / 256), min(ceil(rows / 32), 65535)), 256>>>; any grid
extern "C" __global__ void __launch_bounds__(256)
add_bias_bf16(bf16* x, const float* bias, int rows, int columns) {
  after_previous();
  if (fits<8>(columns, x) && fits<8>(columns, bias)) add_bias<8>(x, bias, rows, columns);
  else add_bias<1>(x, bias, rows, columns);
}

// <<<(ceil(columns / 128), min(ceil(rows / 32), 65535)), 256>>>; any grid
extern "C" __global__ void __launch_bounds__(256)
add_bias_f32(float* x, const float* bias, int rows, int columns) {
  after_previous();
  if (fits<4>(columns, x, bias)) add_bias<4>(x, bias, rows, columns);
  else add_bias<1>(x, bias, rows, columns);
}

template <int N, typename X>
DEVICE void sum_rows(float* partial, const X* x, int rows, int columns, int parts) {
  __shared__ __align__(16) float scratch[256 * N];
  Share share = share_of(rows, blockIdx.y, parts);
  FOR_STRIPS(N, columns) {
    int c = strip_column<N>(strip);
    Pack<N> sum = pack_of<N>(0);
    if (c < columns) {
      add_rows<4>(sum, share.first + threadIdx.x / WARP, share.end, blockDim.x / WARP,
                  [&](i64 r) { return load<N>(x + r * columns + c); });
    }
    float total = across_warps(scratch, sum);
    int column = strip * WARP * N + threadIdx.x;
    if (threadIdx.x < WARP * N && column < columns) partial[(i64)blockIdx.y * columns + column] = total;
  }
}

// <<<(ceil(columns / 256), parts), 256>>>, 1 <= parts <= 65535.
// Good: parts = min(ceil(rows / 64), ceil(1056 / ceil(columns / 256))): eight blocks for each of 132
// multiprocessors, and enough rows in each that the partial sums are a small part of the traffic.
extern "C" __global__ void __launch_bounds__(256)
sum_rows_bf16(float* partial, const bf16* x, int rows, int columns, int parts) {
  after_previous();
  if (fits<8>(columns, x)) sum_rows<8>(partial, x, rows, columns, parts);
  else sum_rows<1>(partial, x, rows, columns, parts);
}

// <<<(ceil(columns / 128), parts), 256>>>, 1 <= parts <= 65535.
// Good: parts = min(ceil(rows / 64), ceil(1056 / ceil(columns / 128))), as above.
extern "C" __global__ void __launch_bounds__(256)
sum_rows_f32(float* partial, const float* x, int rows, int columns, int parts) {
  after_previous();
  if (fits<4>(columns, x)) sum_rows<4>(partial, x, rows, columns, parts);
  else sum_rows<1>(partial, x, rows, columns, parts);
}

// <<<ceil(columns / 32), 1024>>>. Warp w takes parts w, w + 32, ... in order, then the warps go in order: one thread
// for a column would wait for hundreds of loads, one after the other. The first `split` columns go to `out`, the others
// to `rest`.
extern "C" __global__ void __launch_bounds__(1024) sum_parts(
    float* out, float* rest, int split, const float* partial, int parts, int columns, int accumulate) {
  after_previous();
  __shared__ __align__(16) float scratch[1024];
  FOR_STRIPS(1, columns) {
    int c = strip_column<1>(strip);
    Pack<1> sum = pack_of<1>(0);
    if (c < columns) {
      add_rows<8>(sum, threadIdx.x / WARP, parts, blockDim.x / WARP,
                  [&](i64 p) { return load<1>(partial + p * columns + c); });
    }
    float total = across_warps(scratch, sum);
    if (threadIdx.x < WARP && c < columns) {
      float* to = c < split ? out + c : rest + (c - split);
      *to = accumulate ? *to + total : total;
    }
  }
}

// ---- Activations ----

template <int N, int HALVES>
struct Halves { Pack<N> of[HALVES]; };

template <typename Act, int N>
DEVICE Halves<N, Act::HALVES> load_halves(const bf16* from, int ff) {
  Halves<N, Act::HALVES> halves;
#pragma unroll
  for (int h = 0; h < Act::HALVES; h++) halves.of[h] = load<N>(from + (i64)h * ff);
  return halves;
}

template <int N, int HALVES>
struct ActResults { Pack<N> out; Halves<N, HALVES> slope; };

template <typename Act, int N>
DEVICE ActResults<N, Act::HALVES> act(const Halves<N, Act::HALVES>& pre) {
  constexpr int H = Act::HALVES;
  ActResults<N, H> results;
#pragma unroll
  for (int j = 0; j < N; j++) {
    float each[H], slope[H];
#pragma unroll
    for (int h = 0; h < H; h++) each[h] = pre.of[h].x[j];
    results.out.x[j] = Act::forward(each, slope);
#pragma unroll
    for (int h = 0; h < H; h++) results.slope.of[h].x[j] = slope[h];
  }
  return results;
}

// What is kept of slopes, the byte of each.
DEVICE void store_kept(u8* to, Pack<8> slope) {
#pragma unroll
  for (int j = 0; j < 8; j++) slope.x[j] = fmaf(KEPT_SCALE, slope.x[j], KEPT_OFFSET);
  *(uint2*)to = make_uint2(kept_slopes(slope.x[0], slope.x[1], slope.x[2], slope.x[3]),
                           kept_slopes(slope.x[4], slope.x[5], slope.x[6], slope.x[7]));
}
DEVICE Pack<8> load_kept(const u8* from) {
  uint2 bytes = *(const uint2*)from;
  return unpack(make_uint4(slopes_of<0>(bytes.x), slopes_of<1>(bytes.x), slopes_of<0>(bytes.y), slopes_of<1>(bytes.y)));
}

template <typename Act, int N, bool KEEPS>
DEVICE void act_forward_of(bf16* out, u8* kept, const bf16* pre, int rows, int ff) {
  constexpr int H = Act::HALVES;
  FOR_STRIPS(N, ff) {
    int c = strip_column<N>(strip);
    if (c >= ff) continue;
    walk<4 / H>(
        row_of_warp(), rows, row_step(), [&](i64 r) { return load_halves<Act, N>(pre + r * H * ff + c, ff); },
        [&](i64 r, const Halves<N, H>& x) {
          ActResults<N, H> y = act<Act, N>(x);
          store(out + r * ff + c, y.out);
          if constexpr (KEEPS) store_kept(kept + r * ff + c, y.slope.of[0]);
        });
  }
}

// Where a result is as wide as `pre` it may go there: a thread writes only where it has read.
template <typename Act>
DEVICE void act_forward(bf16* out, const bf16* pre, int rows, int ff) {
  if (fits<8>(ff, out, pre)) act_forward_of<Act, 8, false>(out, nullptr, pre, rows, ff);
  else act_forward_of<Act, 1, false>(out, nullptr, pre, rows, ff);
}

// <<<(ceil(ff / 256), min(ceil(rows / 32), 65535)), 256>>>; any grid
extern "C" __global__ void __launch_bounds__(256)
act_forward_gelu(bf16* out, const bf16* pre, int rows, int ff) {
  after_previous();
  act_forward<Gelu>(out, pre, rows, ff);
}

// <<<(ceil(ff / 256), min(ceil(rows / 32), 65535)), 256>>>; any grid
extern "C" __global__ void __launch_bounds__(256)
act_forward_relu(bf16* out, const bf16* pre, int rows, int ff) {
  after_previous();
  act_forward<Relu>(out, pre, rows, ff);
}

// <<<(ceil(ff / 256), min(ceil(rows / 32), 65535)), 256>>>; any grid
extern "C" __global__ void __launch_bounds__(256)
act_forward_swiglu(bf16* out, const bf16* pre, int rows, int ff) {
  after_previous();
  act_forward<Swiglu>(out, pre, rows, ff);
}

// The same, and what is kept of slopes, in the order of `out`. `ff` is a multiple of 8, `out` and `pre` of 16 bytes, and
// `kept` of 8.
template <typename Act>
DEVICE void act_keep(bf16* out, u8* kept, const bf16* pre, int rows, int ff) {
  act_forward_of<Act, 8, true>(out, kept, pre, rows, ff);
}

// <<<(ceil(ff / 256), min(ceil(rows / 32), 65535)), 256>>>; any grid
extern "C" __global__ void __launch_bounds__(256)
act_keep_gelu(bf16* out, u8* kept, const bf16* pre, int rows, int ff) {
  after_previous();
  act_keep<Gelu>(out, kept, pre, rows, ff);
}

// <<<(ceil(ff / 256), min(ceil(rows / 32), 65535)), 256>>>; any grid
extern "C" __global__ void __launch_bounds__(256)
act_keep_relu(bf16* out, u8* kept, const bf16* pre, int rows, int ff) {
  after_previous();
  act_keep<Relu>(out, kept, pre, rows, ff);
}

// x[i] *= slope[i], of what is kept of slopes. `n` is a multiple of 8, `x` of 16 bytes, and `slopes` of 8.
// <<<ceil(n / 8192), 256>>>; any grid
extern "C" __global__ void __launch_bounds__(256) times_kept(bf16* x, const u8* slopes, i64 n) {
  after_previous();
  sweep<8>(
      0, n,
      [&](i64 i) {
        PackPair<8> both = {load<8>(x + i), load_kept(slopes + i)};
        return both;
      },
      [&](i64 i, PackPair<8> both) {
#pragma unroll
        for (int j = 0; j < 8; j++) both.a.x[j] *= both.b.x[j];
        store(x + i, both.a);
      });
}

template <int N, int HALVES>
struct ActInputs { Pack<N> dOut; Halves<N, HALVES> pre; };

// dPre may be pre, or dOut where their widths are equal: a thread writes only where it has read.
template <typename Act, int N>
DEVICE void act_backward_of(bf16* dPre, const bf16* dOut, const bf16* pre, int rows, int ff, int parts) {
  constexpr int H = Act::HALVES;
  Share share = share_of(rows, blockIdx.y, parts);
  FOR_STRIPS(N, ff) {
    int c = strip_column<N>(strip);
    if (c >= ff) continue;
    walk<2>(
        share.first + threadIdx.x / WARP, share.end, blockDim.x / WARP,
        [&](i64 r) {
          ActInputs<N, H> in = {load<N>(dOut + r * ff + c), load_halves<Act, N>(pre + r * H * ff + c, ff)};
          return in;
        },
        [&](i64 r, const ActInputs<N, H>& in) {
          Halves<N, H> d = act<Act, N>(in.pre).slope;
#pragma unroll
          for (int h = 0; h < H; h++) {
#pragma unroll
            for (int j = 0; j < N; j++) d.of[h].x[j] *= in.dOut.x[j];
            store(dPre + (r * H + h) * ff + c, d.of[h]);
          }
        });
  }
}

template <typename Act>
DEVICE void act_backward(bf16* dPre, const bf16* dOut, const bf16* pre, int rows, int ff, int parts) {
  if (fits<8>(ff, dPre, dOut, pre)) act_backward_of<Act, 8>(dPre, dOut, pre, rows, ff, parts);
  else act_backward_of<Act, 1>(dPre, dOut, pre, rows, ff, parts);
}

// <<<(ceil(ff / 256), parts), 256>>>, 1 <= parts <= 65535. Good: parts as for sum_rows_bf16 of rows x ff.
extern "C" __global__ void __launch_bounds__(256) act_backward_gelu(
    bf16* dPre, const bf16* dOut, const bf16* pre, int rows, int ff, int parts) {
  after_previous();
  act_backward<Gelu>(dPre, dOut, pre, rows, ff, parts);
}

// <<<(ceil(ff / 256), parts), 256>>>, 1 <= parts <= 65535. Good: parts as for sum_rows_bf16 of rows x ff.
extern "C" __global__ void __launch_bounds__(256) act_backward_relu(
    bf16* dPre, const bf16* dOut, const bf16* pre, int rows, int ff, int parts) {
  after_previous();
  act_backward<Relu>(dPre, dOut, pre, rows, ff, parts);
}

// <<<(ceil(ff / 256), parts), 256>>>, 1 <= parts <= 65535. Good: parts as for sum_rows_bf16 of rows x ff.
extern "C" __global__ void __launch_bounds__(256) act_backward_swiglu(
    bf16* dPre, const bf16* dOut, const bf16* pre, int rows, int ff, int parts) {
  after_previous();
  act_backward<Swiglu>(dPre, dOut, pre, rows, ff, parts);
}

// ---- Rows by index: embedding, dispatch ----

// The first row of a warp, and how far on its next one is, where a warp takes a whole row.
DEVICE i64 warp_of_grid() { return (i64)blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP; }
DEVICE i64 warps_of_grid() { return (i64)gridDim.x * (blockDim.x / WARP); }

template <int N>
DEVICE void embedding_forward_of(
    bf16* out, const int* tokens, const float* tok, const float* pos, int rows, int d, int seq) {
  for (i64 r = warp_of_grid(); r < rows; r += warps_of_grid()) {
    const float* token = tok + (i64)tokens[r] * d;
    const float* position = pos + (r % seq) * d;
    walk<4>(
        threadIdx.x % WARP, d / N, WARP,
        [&](i64 i) {
          PackPair<N> both = {load<N>(token + i * N), load<N>(position + i * N)};
          return both;
        },
        [&](i64 i, PackPair<N> both) {
          add_to(both.a, both.b);
          store(out + r * d + i * N, both.a);
        });
  }
}

// <<<ceil(rows / 8), 256>>>; any grid
extern "C" __global__ void __launch_bounds__(256) embedding_forward(
    bf16* out, const int* tokens, const float* tok, const float* pos, int rows, int d, int seq) {
  after_previous();
  if (fits<4>(d, out) && fits<4>(d, tok, pos)) embedding_forward_of<4>(out, tokens, tok, pos, rows, d, seq);
  else embedding_forward_of<1>(out, tokens, tok, pos, rows, d, seq);
}

#define TOKEN_WARPS 16

// Adds the rows from..to in order to the row `sum`: G packs a lane of a warp, so that where rows are, which is read
// first, is waited for once and not for every strip.
template <int N>
DEVICE void add_rows_of_token(float* out, const bf16* dOut, const int* order, int from, int to, int d) {
  constexpr int G = 4, STEP = WARP * N;
  for (int c = threadIdx.x % WARP * N; c < d; c += G * STEP) {
    Pack<N> sum[G];
#pragma unroll
    for (int g = 0; g < G; g++) {
      if (c + g * STEP < d) sum[g] = load<N>(out + c + g * STEP);
    }
    for (int i = from; i < to; i++) {
      const bf16* row = dOut + (i64)order[i] * d + c;
      Pack<N> p[G];
#pragma unroll
      for (int g = 0; g < G; g++) {
        if (c + g * STEP < d) p[g] = load<N>(row + g * STEP);
      }
#pragma unroll
      for (int g = 0; g < G; g++) add_to(sum[g], p[g]);
    }
#pragma unroll
    for (int g = 0; g < G; g++) {
      if (c + g * STEP < d) store(out + c + g * STEP, sum[g]);
    }
  }
}

template <int N>
DEVICE void embedding_backward_tokens_of(
    float* dTok, const bf16* dOut, const int* uniqueToken, const int* start, const int* order, int unique, int d) {
  // Most tokens own a few rows, and a warp does for one. Of those with more, all warps of the block share the rows, and
  // the blocks along y the columns, or the commonest token alone would set the time.
  constexpr int FEW = 32;
  __shared__ __align__(16) float scratch[TOKEN_WARPS * WARP * N];
  int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
  // Blocks at the same x have every gridDim.x-th token: common ones often have numbers that are near each other.
  auto token = [&](int i) { return blockIdx.x + (i64)i * gridDim.x; };
  i64 own = token(blockIdx.y * TOKEN_WARPS + warp);
  if (own < unique && start[own + 1] - start[own] <= FEW) {
    add_rows_of_token<N>(dTok + (i64)uniqueToken[own] * d, dOut, order, start[own], start[own + 1], d);
  }
  for (int base = 0; token(base) < unique; base += WARP) {
    i64 its = token(base + lane);
    u32 many = __ballot_sync(FULL, its < unique && start[its + 1] - start[its] > FEW);
    for (; many; many &= many - 1) {
      i64 u = token(base + __ffs(many) - 1);
      int from = start[u], to = start[u + 1];
      for (int strip = blockIdx.y; strip * WARP * N < d; strip += gridDim.y) {
        int c = strip_column<N>(strip);
        Pack<N> sum = pack_of<N>(0);
        if (c < d) {
          add_rows<8>(sum, from + warp, to, TOKEN_WARPS, [&](i64 i) { return load<N>(dOut + (i64)order[i] * d + c); });
        }
        float total = across_warps(scratch, sum);
        int column = strip * WARP * N + threadIdx.x;
        if (threadIdx.x < WARP * N && column < d) dTok[(i64)uniqueToken[u] * d + column] += total;
      }
    }
  }
}

// <<<(ceil(unique / (16 * y)), y), 512>>>, y = min(ceil(d / 256), 1024); start has unique + 1 entries; uniqueToken has
// no token twice. Up to 32 rows are added in order; more go by sixteen warps, each in order, and then over the warps.
extern "C" __global__ void __launch_bounds__(TOKEN_WARPS * WARP) embedding_backward_tokens(
    float* dTok, const bf16* dOut, const int* uniqueToken, const int* start, const int* order, int unique, int d) {
  after_previous();
  if (fits<8>(d, dOut) && fits<8>(d, dTok)) {
    embedding_backward_tokens_of<8>(dTok, dOut, uniqueToken, start, order, unique, d);
  } else {
    embedding_backward_tokens_of<1>(dTok, dOut, uniqueToken, start, order, unique, d);
  }
}

template <int N>
DEVICE void embedding_backward_positions_of(float* dPos, const bf16* dOut, int batch, int seq, int d) {
  for (i64 s = warp_of_grid(); s < seq; s += warps_of_grid()) {
    for (int strip = blockIdx.y; strip * WARP * N < d; strip += gridDim.y) {
      int c = strip_column<N>(strip);
      if (c >= d) continue;
      Pack<N> sum = load<N>(dPos + s * d + c);
      add_rows<8>(sum, 0, batch, 1, [&](i64 b) { return load<N>(dOut + (b * seq + s) * d + c); });
      store(dPos + s * d + c, sum);
    }
  }
}

// <<<(ceil(seq / 8), min(ceil(d / 128), 65535)), 256>>>; any grid
extern "C" __global__ void __launch_bounds__(256)
embedding_backward_positions(float* dPos, const bf16* dOut, int batch, int seq, int d) {
  after_previous();
  if (fits<4>(d, dOut) && fits<4>(d, dPos)) embedding_backward_positions_of<4>(dPos, dOut, batch, seq, d);
  else embedding_backward_positions_of<1>(dPos, dOut, batch, seq, d);
}

template <int N>
DEVICE void gather_rows_of(bf16* out, const bf16* in, const int* rowOf, int rows, int d) {
  for (i64 r = warp_of_grid(); r < rows; r += warps_of_grid()) {
    const bf16* from = in + (i64)rowOf[r] * d;
    walk<4>(
        threadIdx.x % WARP, d / N, WARP, [&](i64 i) { return load<N>(from + i * N); },
        [&](i64 i, const Pack<N>& p) { store(out + r * d + i * N, p); });
  }
}

// <<<ceil(rows / 8), 256>>>; any grid
extern "C" __global__ void __launch_bounds__(256)
gather_rows_bf16(bf16* out, const bf16* in, const int* rowOf, int rows, int d) {
  after_previous();
  if (fits<8>(d, out, in)) gather_rows_of<8>(out, in, rowOf, rows, d);
  else gather_rows_of<1>(out, in, rowOf, rows, d);
}

// out[target[u]] += sum over i in start[u]..start[u + 1], in order, of weight(order[i]) * omega * in[order[i]].
template <int N, typename Weight>
DEVICE void add_segments_of(
    bf16* out, const bf16* in, Weight weight, const float* omega, const int* order, const int* start,
    const int* target, int targets, int d) {
  for (i64 u = warp_of_grid(); u < targets; u += warps_of_grid()) {
    int from = start[u], to = start[u + 1];
    if (from == to) continue;
    bf16* at = out + (i64)target[u] * d;
    for (int c = threadIdx.x % WARP * N; c < d; c += WARP * N) {
      Pack<N> sum = load<N>(at + c);
      Pack<N> scale = omega ? load<N>(omega + c) : pack_of<N>(1);
      add_rows<4>(sum, from, to, 1, [&](i64 i) {
        int row = order[i];
        float factor = weight(row);
        Pack<N> p = load<N>(in + (i64)row * d + c);
#pragma unroll
        for (int j = 0; j < N; j++) p.x[j] *= factor * scale.x[j];
        return p;
      });
      store(at + c, sum);
    }
  }
}

template <typename Weight>
DEVICE void add_segments(
    bf16* out, const bf16* in, Weight weight, const float* omega, const int* order, const int* start,
    const int* target, int targets, int d) {
  if (fits<8>(d, out, in) && fits<8>(d, omega)) {
    add_segments_of<8>(out, in, weight, omega, order, start, target, targets, d);
  } else {
    add_segments_of<1>(out, in, weight, omega, order, start, target, targets, d);
  }
}

// <<<ceil(targets / 8), 256>>>; any grid; start has targets + 1 entries; target has no row twice
extern "C" __global__ void __launch_bounds__(256) scatter_add_rows_bf16(
    bf16* out, const bf16* in, const int* order, const int* start, const int* target, int targets, int d) {
  after_previous();
  add_segments(out, in, [](int) { return 1.f; }, nullptr, order, start, target, targets, d);
}

// <<<ceil(targets / 8), 256>>>; any grid; start has targets + 1 entries; target has no row twice; omega may be null
extern "C" __global__ void __launch_bounds__(256) combine_forward(
    bf16* x, const bf16* y, const float* multiplier, const float* omega, const int* order, const int* start,
    const int* target, int targets, int d) {
  after_previous();
  add_segments(x, y, [=](int row) { return multiplier[row]; }, omega, order, start, target, targets, d);
}

DEVICE u32 dynamic_shared_bytes() {
  u32 bytes;
  asm("mov.u32 %0, %%dynamic_smem_size;" : "=r"(bytes));
  return bytes;
}

// ---- Teams: kernels that need sums over whole rows ----
// A block of 8 warps is cut into teams of 1, 2, 4 or 8 warps, as many as hold a row of `d` columns in registers, G
// packs of 8 a thread. Teams take rows in turn and wait only for themselves.

#define TEAM_BLOCK 256
#define TEAM_WARPS (TEAM_BLOCK / WARP)

// The widest rows of teams whose threads have G packs.
#define TEAM_WIDTH(G) (G * 8 * TEAM_BLOCK)

// Columns from one pack of a thread to its next: a warp's packs lie on end, so that the distances are constants and
// one address serves them all.
#define PACK_STEP (8 * WARP)

// `first` is this thread's first column; it is past the row's end where the thread has none.
struct Team { int warps, index, count, first; };

template <int G>
DEVICE Team team_for(int d) {
  Team team = {1, 0, 0, 0};
  while (team.warps < TEAM_WARPS && team.warps * G * PACK_STEP < d) team.warps *= 2;
  int warp = threadIdx.x / WARP;
  team.index = warp / team.warps;
  team.count = TEAM_WARPS / team.warps;
  team.first = warp % team.warps * G * PACK_STEP + threadIdx.x % WARP * 8;
  return team;
}

// Sums K values over the team, in every thread of it. `scratch` has 2 * K * TEAM_WARPS places. Calls alternate
// between its halves: whoever comes to write one again has met the others since they read it.
template <int K>
DEVICE void team_sum(float (&x)[K], const Team& team, float* scratch, int& half) {
#pragma unroll
  for (int k = 0; k < K; k++) x[k] = warp_sum(x[k]);
  if (team.warps == 1) return;
  float* sums = scratch + half * K * TEAM_WARPS;
  half ^= 1;
  if (threadIdx.x % WARP == 0) {
#pragma unroll
    for (int k = 0; k < K; k++) sums[threadIdx.x / WARP * K + k] = x[k];
  }
  // Barrier 0 is that of __syncthreads.
  asm volatile("bar.sync %0, %1;" : : "r"(team.index + 1), "r"(team.warps * WARP) : "memory");
#pragma unroll
  for (int k = 0; k < K; k++) x[k] = 0;
  for (int w = team.index * team.warps; w < (team.index + 1) * team.warps; w++) {
#pragma unroll
    for (int k = 0; k < K; k++) x[k] += sums[w * K + k];
  }
}

// out = the teams' sums of each column, added in the order of the teams. `scratch` has TEAM_WIDTH(G) / 2 places:
// rows are no wider where there are several teams.
template <int G>
DEVICE void across_teams(float* out, const Pack<8> (&sums)[G], const Team& team, int d, float* scratch) {
  for (int turn = 0; turn < team.count; turn++) {
    if (turn == team.index) {
#pragma unroll
      for (int g = 0; g < G; g++) {
        int c = team.first + g * PACK_STEP;
        if (c >= d) continue;
        Pack<8> sum = sums[g];
        if (turn > 0) add_to(sum, load<8>(scratch + c));
        store((turn == team.count - 1 ? out : scratch) + c, sum);
      }
    }
    __syncthreads();
  }
}

// ---- Layer norm ----

// Parameters in shared memory, the lower halves of all packs before the upper ones: so read, no banks conflict.
DEVICE void keep_halves(float4* halves, const float* parameters, int d) {
  for (int p = threadIdx.x; p < d / 8; p += TEAM_BLOCK) {
    halves[p] = ((const float4*)parameters)[2 * p];
    halves[d / 8 + p] = ((const float4*)parameters)[2 * p + 1];
  }
}

// A team's next row is under way while it sums this one: rows come as fast as memory gives them, not as fast as sums
// follow one another. `parameters` has place for 2 * d floats.
template <int G>
DEVICE void layer_norm_forward_team(
    bf16* out, float* mean, float* rstd, const bf16* x, const float* gain, const float* bias, int rows, int d,
    float epsilon, float4* parameters) {
  __shared__ float scratch[2 * TEAM_WARPS];
  Team team = team_for<G>(d);
  int half = 0;
  // What is left of a row from this thread's first column on.
  int left = d - team.first, step = gridDim.x * team.count;
  x += team.first;
  out += team.first;
  // Bits, not floats, here and in the other teams: half the registers, so more rows under way.
  uint4 next[G];
  auto ask = [&](int r) {
    const bf16* from = x + (i64)r * d;
#pragma unroll
    for (int g = 0; g < G; g++) {
      bool inside = g * PACK_STEP < left && r < rows;
      next[g] = inside ? *(const uint4*)(from + g * PACK_STEP) : make_uint4(0, 0, 0, 0);
    }
  };
  int r = blockIdx.x * team.count + team.index;
  ask(r);
  keep_halves(parameters, gain, d);
  keep_halves(parameters + d / 4, bias, d);
  __syncthreads();
  const float4 *gains = parameters + team.first / 8, *biases = gains + d / 4;
  for (; r < rows; r += step) {
    uint4 bits[G];
    float sum[1] = {0};
#pragma unroll
    for (int g = 0; g < G; g++) bits[g] = next[g];
    ask(r + step);
#pragma unroll
    for (int g = 0; g < G; g++) {
      Pack<8> kept = unpack(bits[g]);
#pragma unroll
      for (int j = 0; j < 8; j++) sum[0] += kept.x[j];
    }
    team_sum(sum, team, scratch, half);
    float average = sum[0] / d;
    float squares[1] = {0};
#pragma unroll
    for (int g = 0; g < G; g++) {
      if (g * PACK_STEP >= left) continue;
      Pack<8> kept = unpack(bits[g]);
#pragma unroll
      for (int j = 0; j < 8; j++) squares[0] += (kept.x[j] - average) * (kept.x[j] - average);
    }
    team_sum(squares, team, scratch, half);
    float scale = 1 / sqrtf(squares[0] / d + epsilon);
    bf16* to = out + (i64)r * d;
#pragma unroll
    for (int g = 0; g < G; g++) {
      if (g * PACK_STEP >= left) continue;
      Pack<8> y = unpack(bits[g]);
      // By halves, for want of registers.
#pragma unroll
      for (int h = 0; h < 2; h++) {
        float4 a = gains[h * (d / 8) + g * WARP], b = biases[h * (d / 8) + g * WARP];
        y.x[4 * h] = (y.x[4 * h] - average) * scale * a.x + b.x;
        y.x[4 * h + 1] = (y.x[4 * h + 1] - average) * scale * a.y + b.y;
        y.x[4 * h + 2] = (y.x[4 * h + 2] - average) * scale * a.z + b.z;
        y.x[4 * h + 3] = (y.x[4 * h + 3] - average) * scale * a.w + b.w;
      }
      store(to + g * PACK_STEP, y);
    }
    if (team.first == 0) {
      mean[r] = average;
      rstd[r] = scale;
    }
  }
}

// Rows of any width, read three times; all but the first come from cache unless they are huge.
DEVICE void layer_norm_forward_any(
    bf16* out, float* mean, float* rstd, const bf16* x, const float* gain, const float* bias, int rows, int d,
    float epsilon) {
  __shared__ float scratch[WARP];
  for (i64 r = blockIdx.x; r < rows; r += gridDim.x) {
    const bf16* row = x + r * d;
    float sum = 0;
    for (int c = threadIdx.x; c < d; c += TEAM_BLOCK) sum += to_float(row[c]);
    float average = block_sum(sum, scratch) / d;
    float squares = 0;
    for (int c = threadIdx.x; c < d; c += TEAM_BLOCK) {
      float centered = to_float(row[c]) - average;
      squares += centered * centered;
    }
    float scale = 1 / sqrtf(block_sum(squares, scratch) / d + epsilon);
    for (int c = threadIdx.x; c < d; c += TEAM_BLOCK) {
      out[r * d + c] = to_bf16((to_float(row[c]) - average) * scale * gain[c] + bias[c]);
    }
    if (threadIdx.x == 0) {
      mean[r] = average;
      rstd[r] = scale;
    }
  }
}

// <<<min(ceil(rows / 8), 528), 256, shared>>>: shared = 8 * d where d is a multiple of 8 and at most 8192, else 0, and
// rows go by single elements; any grid. Good: four blocks for each of 132 multiprocessors.
extern "C" __global__ void __launch_bounds__(TEAM_BLOCK, 4) layer_norm_forward(
    bf16* out, float* mean, float* rstd, const bf16* x, const float* gain, const float* bias, int rows, int d,
    float epsilon) {
  after_previous();
  extern __shared__ uint4 dynamicShared[];
  bool wide = fits<8>(d, out, x) && fits<8>(d, gain, bias) && 8 * d <= dynamic_shared_bytes();
  if (wide && d <= TEAM_WIDTH(4)) {
    layer_norm_forward_team<4>(out, mean, rstd, x, gain, bias, rows, d, epsilon, (float4*)dynamicShared);
  } else {
    layer_norm_forward_any(out, mean, rstd, x, gain, bias, rows, d, epsilon);
  }
}

// As forward, the next row is under way while this one is summed, where there are registers for it, and for the gain.
template <int G>
DEVICE void layer_norm_backward_team(
    bf16* dX, float* partial, const bf16* dOut, const bf16* x, const float* mean, const float* rstd,
    const float* gain, int d, Share share, float* columns) {
  constexpr bool AHEAD = G <= 2;
  __shared__ float scratch[2 * 2 * TEAM_WARPS];
  Team team = team_for<G>(d);
  int half = 0;
  Pack<8> dGain[G], dBias[G], gains[G];
#pragma unroll
  for (int g = 0; g < G; g++) {
    int c = team.first + g * PACK_STEP;
    dGain[g] = dBias[g] = pack_of<8>(0);
    if (AHEAD && c < d) gains[g] = load<8>(gain + c);
  }
  uint4 xNext[G], dOutNext[G], dXNext[G];
  float averageNext = 0, scaleNext = 0;
  auto ask = [&](i64 r) {
    if (r >= share.end) return;
#pragma unroll
    for (int g = 0; g < G; g++) {
      int c = team.first + g * PACK_STEP;
      if (c >= d) continue;
      xNext[g] = *(const uint4*)(x + r * d + c);
      dOutNext[g] = *(const uint4*)(dOut + r * d + c);
      dXNext[g] = *(const uint4*)(dX + r * d + c);
    }
    averageNext = mean[r];
    scaleNext = rstd[r];
  };
  ask(share.first + team.index);
  for (i64 r = share.first + team.index; r < share.end; r += team.count) {
    uint4 xBits[G], dOutBits[G], dXBits[G];
#pragma unroll
    for (int g = 0; g < G; g++) {
      xBits[g] = xNext[g];
      dOutBits[g] = dOutNext[g];
      dXBits[g] = dXNext[g];
    }
    float average = averageNext, scale = scaleNext;
    if (AHEAD) ask(r + team.count);
    float sums[2] = {0, 0};
#pragma unroll
    for (int g = 0; g < G; g++) {
      int c = team.first + g * PACK_STEP;
      if (c >= d) continue;
      Pack<8> kept = unpack(xBits[g]), dy = unpack(dOutBits[g]), a = AHEAD ? gains[g] : load<8>(gain + c);
#pragma unroll
      for (int j = 0; j < 8; j++) {
        float normal = (kept.x[j] - average) * scale;
        float weighted = dy.x[j] * a.x[j];
        sums[0] += weighted;
        sums[1] += weighted * normal;
        dGain[g].x[j] += dy.x[j] * normal;
        dBias[g].x[j] += dy.x[j];
      }
    }
    team_sum(sums, team, scratch, half);
    float shift = sums[0] / d, tilt = sums[1] / d;
#pragma unroll
    for (int g = 0; g < G; g++) {
      int c = team.first + g * PACK_STEP;
      if (c >= d) continue;
      Pack<8> kept = unpack(xBits[g]), dy = unpack(dOutBits[g]), a = AHEAD ? gains[g] : load<8>(gain + c);
      Pack<8> sum = unpack(dXBits[g]);
#pragma unroll
      for (int j = 0; j < 8; j++) {
        float normal = (kept.x[j] - average) * scale;
        sum.x[j] += scale * (dy.x[j] * a.x[j] - shift - normal * tilt);
      }
      store(dX + r * d + c, sum);
    }
    if (!AHEAD) ask(r + team.count);
  }
  across_teams(partial, dGain, team, d, columns);
  across_teams(partial + d, dBias, team, d, columns);
}

// Rows of any width: the columns' sums lie in `partial`, each with one thread that adds to it.
DEVICE void layer_norm_backward_any(
    bf16* dX, float* partial, const bf16* dOut, const bf16* x, const float* mean, const float* rstd,
    const float* gain, int d, Share share) {
  __shared__ float scratch[WARP];
  for (int c = threadIdx.x; c < d; c += TEAM_BLOCK) partial[c] = partial[d + c] = 0;
  for (i64 r = share.first; r < share.end; r++) {
    float average = mean[r], scale = rstd[r];
    float sum = 0, sumOfNormal = 0;
    for (int c = threadIdx.x; c < d; c += TEAM_BLOCK) {
      float normal = (to_float(x[r * d + c]) - average) * scale;
      float dy = to_float(dOut[r * d + c]);
      sum += dy * gain[c];
      sumOfNormal += dy * gain[c] * normal;
      partial[c] += dy * normal;
      partial[d + c] += dy;
    }
    float shift = block_sum(sum, scratch) / d;
    float tilt = block_sum(sumOfNormal, scratch) / d;
    for (int c = threadIdx.x; c < d; c += TEAM_BLOCK) {
      float normal = (to_float(x[r * d + c]) - average) * scale;
      float gradient = scale * (to_float(dOut[r * d + c]) * gain[c] - shift - normal * tilt);
      dX[r * d + c] = to_bf16(to_float(dX[r * d + c]) + gradient);
    }
  }
}

// <<<parts, 256>>>. Good: parts = min(ceil(rows / 16), 264): two blocks for each of 132 multiprocessors, as
// many as registers have room for where a thread has two packs; rows wide enough for four are rare, and spill.
extern "C" __global__ void __launch_bounds__(TEAM_BLOCK, 2) layer_norm_backward(
    bf16* dX, float* partial, const bf16* dOut, const bf16* x, const float* mean, const float* rstd,
    const float* gain, int rows, int d, int parts) {
  after_previous();
  __shared__ __align__(16) float columns[TEAM_WIDTH(4) / 2];
  bool wide = fits<8>(d, dX, dOut, x) && fits<8>(d, gain, partial);
  Share share = share_of(rows, blockIdx.x, parts);
  partial += (i64)blockIdx.x * 2 * d;
  if (wide && d <= TEAM_WIDTH(2)) {
    layer_norm_backward_team<2>(dX, partial, dOut, x, mean, rstd, gain, d, share, columns);
  } else if (wide && d <= TEAM_WIDTH(4)) {
    layer_norm_backward_team<4>(dX, partial, dOut, x, mean, rstd, gain, d, share, columns);
  } else {
    layer_norm_backward_any(dX, partial, dOut, x, mean, rstd, gain, d, share);
  }
}

// ---- The backward pass of combine ----

template <int G>
DEVICE void combine_backward_team(
    bf16* dY, float* s, float* partial, const bf16* dX, const bf16* y, const int* tokenOfRow,
    const float* multiplier, const float* omega, int d, Share share, float* columns) {
  __shared__ float scratch[2 * TEAM_WARPS];
  Team team = team_for<G>(d);
  int half = 0;
  Pack<8> dOmega[G];
#pragma unroll
  for (int g = 0; g < G; g++) dOmega[g] = pack_of<8>(0);
  for (i64 r = share.first + team.index; r < share.end; r += team.count) {
    const bf16* gradient = dX + (i64)tokenOfRow[r] * d;
    float factor = multiplier[r];
    uint4 gBits[G], yBits[G];
#pragma unroll
    for (int g = 0; g < G; g++) {
      int c = team.first + g * PACK_STEP;
      if (c >= d) continue;
      gBits[g] = *(const uint4*)(gradient + c);
      yBits[g] = *(const uint4*)(y + r * d + c);
    }
    float sum[1] = {0};
#pragma unroll
    for (int g = 0; g < G; g++) {
      int c = team.first + g * PACK_STEP;
      if (c >= d) continue;
      Pack<8> from = unpack(gBits[g]), output = unpack(yBits[g]), result;
      Pack<8> weight = omega ? load<8>(omega + c) : pack_of<8>(1);
#pragma unroll
      for (int j = 0; j < 8; j++) {
        float product = from.x[j] * output.x[j];
        sum[0] += product * weight.x[j];
        dOmega[g].x[j] += factor * product;
        result.x[j] = factor * weight.x[j] * from.x[j];
      }
      store(dY + r * d + c, result);
    }
    team_sum(sum, team, scratch, half);
    if (team.first == 0) s[r] = sum[0];
  }
  if (omega) across_teams(partial, dOmega, team, d, columns);
}

DEVICE void combine_backward_any(
    bf16* dY, float* s, float* partial, const bf16* dX, const bf16* y, const int* tokenOfRow,
    const float* multiplier, const float* omega, int d, Share share) {
  __shared__ float scratch[WARP];
  if (omega) {
    for (int c = threadIdx.x; c < d; c += TEAM_BLOCK) partial[c] = 0;
  }
  for (i64 r = share.first; r < share.end; r++) {
    const bf16* gradient = dX + (i64)tokenOfRow[r] * d;
    float factor = multiplier[r];
    float sum = 0;
    for (int c = threadIdx.x; c < d; c += TEAM_BLOCK) {
      float from = to_float(gradient[c]);
      float product = from * to_float(y[r * d + c]);
      float weight = omega ? omega[c] : 1;
      sum += product * weight;
      if (omega) partial[c] += factor * product;
      dY[r * d + c] = to_bf16(factor * weight * from);
    }
    sum = block_sum(sum, scratch);
    if (threadIdx.x == 0) s[r] = sum;
  }
}

// <<<parts, 256>>>. Good: parts = min(ceil(rows / 16), 528): four blocks for each of 132 multiprocessors.
// partial is null exactly where omega is. dY may be y, not dX.
extern "C" __global__ void __launch_bounds__(TEAM_BLOCK, 4) combine_backward(
    bf16* dY, float* s, float* partial, const bf16* dX, const bf16* y, const int* tokenOfRow,
    const float* multiplier, const float* omega, int rows, int d, int parts) {
  after_previous();
  __shared__ __align__(16) float columns[TEAM_WIDTH(4) / 2];
  bool wide = fits<8>(d, dY, dX, y) && fits<8>(d, partial, omega);
  Share share = share_of(rows, blockIdx.x, parts);
  if (omega) partial += (i64)blockIdx.x * d;
  if (wide && d <= TEAM_WIDTH(2)) {
    combine_backward_team<2>(dY, s, partial, dX, y, tokenOfRow, multiplier, omega, d, share, columns);
  } else if (wide && d <= TEAM_WIDTH(4)) {
    combine_backward_team<4>(dY, s, partial, dX, y, tokenOfRow, multiplier, omega, d, share, columns);
  } else {
    combine_backward_any(dY, s, partial, dX, y, tokenOfRow, multiplier, omega, d, share);
  }
}

// ---- Cross entropy ----

#define ENTROPY_BLOCK 512

DEVICE void copy_16_bytes(bf16* shared, const bf16* from) {
  asm volatile(
      "{ .reg .u64 wide; .reg .u32 at; cvta.to.shared.u64 wide, %0; cvt.u32.u64 at, wide;"
      " cp.async.cg.shared.global [at], [%1], 16; }"
      : : "l"(shared), "l"(from) : "memory");
}

// A row per block. Each thread reads, keeps and writes its own columns throughout, so that dLogits may be logits
// and the copy in shared memory needs no barrier.
template <int N>
DEVICE void cross_entropy_row(
    float* losses, bf16* dLogits, const bf16* logits, const int* targets, int vocab, float scale, bf16* shared) {
  __shared__ float scratch[WARP];
  i64 r = blockIdx.x;
  const bf16* row = logits + r * vocab;
  int target = targets[r];
  float atTarget = to_float(row[target]);
  int packs = vocab / N;
  if (vocab <= dynamic_shared_bytes() / sizeof(bf16)) {
    if constexpr (N == 8) {
      for (int i = threadIdx.x; i < packs; i += ENTROPY_BLOCK) copy_16_bytes(shared + i * N, row + i * N);
      asm volatile("cp.async.wait_all;" : : : "memory");
    } else {
      walk<4>(
          threadIdx.x, packs, ENTROPY_BLOCK, [&](i64 i) { return load<N>(row + i * N); },
          [&](i64 i, const Pack<N>& p) { store(shared + i * N, p); });
    }
    row = shared;
  }
  auto kept = [&](i64 i) { return load<N>(row + i * N); };

  // Each thread against the greatest logit that it has met. Starting with a finite one spares -inf - -inf.
  float most = -3e38f, sum = 0;
  walk<4>(threadIdx.x, packs, ENTROPY_BLOCK, kept, [&](i64, const Pack<N>& p) {
    float peak = p.x[0];
#pragma unroll
    for (int j = 1; j < N; j++) peak = fmaxf(peak, p.x[j]);
    if (peak > most) {
      sum *= __expf(most - peak);
      most = peak;
    }
#pragma unroll
    for (int j = 0; j < N; j++) sum += __expf(p.x[j] - most);
  });
  float top = block_max(most, scratch);
  sum = block_sum(sum * __expf(most - top), scratch);
  if (threadIdx.x == 0) losses[r] = logf(sum) + top - atTarget;
  if (!dLogits) return;

  float factor = scale / sum;
  bf16* out = dLogits + r * vocab;
  walk<4>(threadIdx.x, packs, ENTROPY_BLOCK, kept, [&](i64 i, Pack<N> p) {
#pragma unroll
    for (int j = 0; j < N; j++) p.x[j] = factor * __expf(p.x[j] - top);
    if (target / N == i) {
#pragma unroll
      for (int j = 0; j < N; j++) p.x[j] -= j == target % N ? scale : 0;
    }
    store(out + i * N, p);
  });
}

// <<<rows, 512, shared>>>: shared = 2 * vocab bytes rounded up to 16 where a block may have as much (opt in beyond
// 48 KiB; the kernel itself has 256 bytes), so that the logits are read once; else 0, and they are read twice.
extern "C" __global__ void __launch_bounds__(ENTROPY_BLOCK) cross_entropy(
    float* losses, bf16* dLogits, const bf16* logits, const int* targets, int rows, int vocab, float scale) {
  after_previous();
  extern __shared__ uint4 dynamicShared[];
  bf16* shared = (bf16*)dynamicShared;
  if (fits<8>(vocab, dLogits, logits)) {
    cross_entropy_row<8>(losses, dLogits, logits, targets, vocab, scale, shared);
  } else {
    cross_entropy_row<1>(losses, dLogits, logits, targets, vocab, scale, shared);
  }
}

// ---- Norm of the gradient ----

template <int N, typename X>
DEVICE void add_squares(double& sum, const X* x, i64 first, i64 end) {
  sweep<N>(
      first, end, [&](i64 i) { return load<N>(x + i); },
      [&](i64, const Pack<N>& p) {
#pragma unroll
        for (int j = 0; j < N; j++) sum += (double)p.x[j] * p.x[j];
      });
}

template <typename X>
DEVICE void sum_squares(double* partial, const X* x, i64 n) {
  constexpr int N = 16 / sizeof(X);
  __shared__ double scratch[WARP];
  double sum = 0;
  i64 wide = in_packs<N>(n, x);
  add_squares<N>(sum, x, 0, wide);
  add_squares<1>(sum, x, wide, n);
  sum = block_sum(sum, scratch);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

// <<<parts, 256>>>. Good: parts = min(ceil(n / 16384), 1056).
extern "C" __global__ void __launch_bounds__(256)
sum_squares_f32(double* partial, const float* x, i64 n, int parts) { after_previous(); sum_squares(partial, x, n); }

// <<<parts, 256>>>. Good: parts = min(ceil(n / 16384), 1056).
extern "C" __global__ void __launch_bounds__(256)
sum_squares_bf16(double* partial, const bf16* x, i64 n, int parts) { after_previous(); sum_squares(partial, x, n); }

// <<<1, 256>>>
extern "C" __global__ void __launch_bounds__(256) sum_squares_end(float* out, const double* partial, int parts) {
  after_previous();
  __shared__ double scratch[WARP];
  double sum = 0;
  for (int p = threadIdx.x; p < parts; p += blockDim.x) sum += partial[p];
  sum = block_sum(sum, scratch);
  if (threadIdx.x == 0) *out = (float)sum;
}

// A piece of a tensor: its values, or sums of their squares. As SquaredPieces.java writes it.
struct SquaredPiece {
  const float* x;
  int end;         // index of what comes after it, over all pieces
  int isSquared;
};
#define MOST_SQUARED_PIECES 32
struct SquaredPieces { SquaredPiece pieces[MOST_SQUARED_PIECES]; };

// <<<1, 1024>>>. Of few numbers, so each is far away and nothing else: a thread asks for eight at a time.
extern "C" __global__ void __launch_bounds__(1024)
sum_squared_pieces(float* out, const __grid_constant__ SquaredPieces squared, int count) {
  after_previous();
  __shared__ double scratch[WARP];
  constexpr int N = 8;
  const SquaredPiece* pieces = squared.pieces;
  int end = pieces[count - 1].end;
  double sum = 0;
  for (int first = threadIdx.x; first < end; first += N * blockDim.x) {
    float x[N];
    bool isSquared[N];
#pragma unroll
    for (int j = 0; j < N; j++) {
      int i = first + j * blockDim.x, piece = 0;
      x[j] = 0;
      isSquared[j] = true;
      if (i < end) {
        while (i >= pieces[piece].end) piece++;
        x[j] = pieces[piece].x[piece == 0 ? i : i - pieces[piece - 1].end];
        isSquared[j] = pieces[piece].isSquared;
      }
    }
#pragma unroll
    for (int j = 0; j < N; j++) sum += isSquared[j] ? (double)x[j] : (double)x[j] * x[j];
  }
  sum = block_sum(sum, scratch);
  if (threadIdx.x == 0) *out = (float)sum;
}

// ---- AdamW ----

struct AdamW {
  float gradientScale, beta1, beta2, decay, stepSize, inverseRootCorrection2, epsilon;
};

template <int N>
DEVICE void adamw_of(float* param, float* m, float* v, const float* grad, bf16* shadow, i64 first, i64 end,
                     const AdamW& step) {
  i64 thread = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  for (i64 i = first + thread * N; i < end; i += (i64)gridDim.x * blockDim.x * N) {
    Pack<N> p = load<N>(param + i), first1 = load<N>(m + i), second = load<N>(v + i), g = load<N>(grad + i);
#pragma unroll
    for (int j = 0; j < N; j++) {
      float gradient = step.gradientScale * g.x[j];
      first1.x[j] = step.beta1 * first1.x[j] + (1 - step.beta1) * gradient;
      second.x[j] = step.beta2 * second.x[j] + (1 - step.beta2) * gradient * gradient;
      float root = sqrtf(second.x[j]) * step.inverseRootCorrection2 + step.epsilon;
      p.x[j] = p.x[j] * step.decay - step.stepSize * (first1.x[j] / root);
    }
    store(param + i, p);
    store(m + i, first1);
    store(v + i, second);
    if (shadow) store(shadow + i, p);
  }
}

// <<<ceil(n / 1024), 256>>>; any grid; shadow may be null. Occupancy alone fills the memory system here: each thread
// has four loads under way.
extern "C" __global__ void __launch_bounds__(256) adamw(
    float* param, float* m, float* v, const float* grad, bf16* shadow, i64 n, float gradientScale, float beta1,
    float beta2, float decay, float stepSize, float inverseRootCorrection2, float epsilon) {
  after_previous();
  AdamW step = {gradientScale, beta1, beta2, decay, stepSize, inverseRootCorrection2, epsilon};
  i64 wide = fits<4>(0, param, m, v, grad) && fits<4>(0, shadow) ? n - n % 4 : 0;
  adamw_of<4>(param, m, v, grad, shadow, 0, wide, step);
  adamw_of<1>(param, m, v, grad, shadow, wide, n, step);
}

// ---- What the host waits for ----

// Writes to memory of the host, and then, once all of it is there, a number by which the host knows.
// <<<1, 256>>>
extern "C" __global__ void __launch_bounds__(256)
tell_host(u32* to, const u32* from, int words, u32* at, u32 number) {
  after_previous();
  for (int i = threadIdx.x; i < words; i += blockDim.x) to[i] = from[i];
  __threadfence_system();
  __syncthreads();
  if (threadIdx.x == 0) asm volatile("st.release.sys.global.u32 [%0], %1;" : : "l"(at), "r"(number) : "memory");
}

// ---- Float32 as three bfloat16 ----
// For products of float32 matrices on the bfloat16 units. 3 * 8 significant bits hold all 24.

template <int N>
DEVICE void split3(bf16* out, const float* in, int rows, int columns) {
  FOR_STRIPS(N, columns) {
    int c = strip_column<N>(strip);
    if (c >= columns) continue;
    walk<4>(
        row_of_warp(), rows, row_step(), [&](i64 r) { return load<N>(in + r * columns + c); },
        [&](i64 r, Pack<N> rest) {
#pragma unroll
          for (int third = 0; third < 3; third++) {
            Pack<N> rounded = bf16_rounded(rest);
            store(out + (r * 3 + third) * columns + c, rounded);
#pragma unroll
            for (int j = 0; j < N; j++) rest.x[j] -= rounded.x[j];
          }
        });
  }
}

// <<<(ceil(columns / 128), min(ceil(rows / 32), 65535)), 256>>>; any grid
extern "C" __global__ void __launch_bounds__(256) split3_f32(bf16* out, const float* in, int rows, int columns) {
  after_previous();
  if (fits<4>(columns, out) && fits<4>(columns, in)) split3<4>(out, in, rows, columns);
  else split3<1>(out, in, rows, columns);
}

template <int N>
struct Thirds { Pack<N> high, mid, low; };

template <int N>
DEVICE void add_thirds_of(float* out, const float* in, const float* bias, int rows, int columns) {
  FOR_STRIPS(N, columns) {
    int c = strip_column<N>(strip);
    if (c >= columns) continue;
    Pack<N> b = bias ? load<N>(bias + c) : pack_of<N>(0);
    walk<2>(
        row_of_warp(), rows, row_step(),
        [&](i64 r) {
          const float* row = in + r * 3 * columns + c;
          Thirds<N> thirds = {load<N>(row), load<N>(row + columns), load<N>(row + 2 * (i64)columns)};
          return thirds;
        },
        [&](i64 r, Thirds<N> thirds) {
          // From the least up, so that little is lost to rounding.
          add_to(thirds.low, thirds.mid);
          add_to(thirds.low, thirds.high);
          add_to(thirds.low, b);
          store(out + r * columns + c, thirds.low);
        });
  }
}

// <<<(ceil(columns / 128), min(ceil(rows / 32), 65535)), 256>>>; any grid; bias may be null
extern "C" __global__ void __launch_bounds__(256)
add_thirds(float* out, const float* in, const float* bias, int rows, int columns) {
  after_previous();
  if (fits<4>(columns, out, in, bias)) add_thirds_of<4>(out, in, bias, rows, columns);
  else add_thirds_of<1>(out, in, bias, rows, columns);
}

// ---- Heads of sizes that the attention kernels do not know: zeros behind each make them one they do ----

// A row has `parts` parts of `heads` heads of `size` channels; in `wide` rows each head has `padded`. The first part,
// the queries, is multiplied by `first`: the kernels divide scores by the root of `padded`, not of `size`.
// <<<ceil(rows * parts * heads * padded / 256), 256>>>
extern "C" __global__ void __launch_bounds__(256) pad_heads(
    bf16* wide, const bf16* narrow, i64 rows, int parts, int heads, int size, int padded, float first) {
  after_previous();
  i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= rows * parts * heads * padded) return;
  int channel = (int)(i % padded);
  i64 head = i / padded;
  bool scaled = head / heads % parts == 0;
  wide[i] = channel < size ? to_bf16(to_float(narrow[head * size + channel]) * (scaled ? first : 1.f)) : (bf16)0;
}

// The inverse.
// <<<ceil(rows * parts * heads * size / 256), 256>>>
extern "C" __global__ void __launch_bounds__(256) cut_heads(
    bf16* narrow, const bf16* wide, i64 rows, int parts, int heads, int size, int padded, float first) {
  after_previous();
  i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= rows * parts * heads * size) return;
  i64 head = i / size;
  bool scaled = head / heads % parts == 0;
  narrow[i] = to_bf16(to_float(wide[head * padded + i % size]) * (scaled ? first : 1.f));
}

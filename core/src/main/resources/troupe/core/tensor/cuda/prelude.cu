// What every kernel file starts with: types, conversions and reductions, without a header of CUDA's, since
// NVRTC finds none where only its library is installed.
//
// Kernels are extern "C" and come with their launch in a comment: <<<grid, block, dynamic shared memory>>>.
// Names end in the element type where there are several: _bf16, _f32.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

// The bits of a bfloat16: the upper half of a float32.
typedef u16 bf16;

#define INF __int_as_float(0x7f800000)
#define WARP 32
#define FULL 0xffffffffu
#define DEVICE static __device__ __forceinline__

// Since Hopper a kernel's blocks are placed while those of the kernel before it in the stream end, which hides what a
// launch takes. So every kernel begins with this: what others write it may read behind it, what others read, write.
DEVICE void after_previous() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

DEVICE float to_float(bf16 x) { return __uint_as_float((u32)x << 16); }
DEVICE float to_float(float x) { return x; }

// Two floats rounded to nearest even; the first is in the lower half, as memory has it.
DEVICE u32 pack(float low, float high) {
  u32 bits;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
  return bits;
}
DEVICE bf16 to_bf16(float x) {
  u16 bits;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(x));
  return bits;
}
// Four of the eight bytes of two words, those of `low` being 0 to 3: BYTES says which, a digit each.
template <u32 BYTES>
DEVICE u32 choose(u32 low, u32 high) {
  u32 bits;
  asm("prmt.b32 %0, %1, %2, %3;" : "=r"(bits) : "r"(low), "r"(high), "n"(BYTES));
  return bits;
}
DEVICE float low(u32 pair) { return __uint_as_float(pair << 16); }
DEVICE float high(u32 pair) { return __uint_as_float(pair & 0xffff0000u); }

DEVICE void store(bf16* out, float x) { *out = to_bf16(x); }
DEVICE void store(float* out, float x) { *out = x; }

// Whether vectors of 16 bytes may be had from there.
DEVICE bool aligned(const void* address) { return ((u64)address & 15) == 0; }

// Sums over a warp in a fixed tree: the same bits in every lane, every time.
DEVICE float warp_sum(float x) {
  for (int o = WARP / 2; o > 0; o >>= 1) x += __shfl_xor_sync(FULL, x, o);
  return x;
}
DEVICE double warp_sum(double x) {
  for (int o = WARP / 2; o > 0; o >>= 1) x += __shfl_xor_sync(FULL, x, o);
  return x;
}
DEVICE float warp_max(float x) {
  for (int o = WARP / 2; o > 0; o >>= 1) x = fmaxf(x, __shfl_xor_sync(FULL, x, o));
  return x;
}

// Sum over a block of whole warps, in every thread; `scratch` has 32 places and may be used again at once.
template <typename X>
DEVICE X block_sum(X x, X* scratch) {
  x = warp_sum(x);
  __syncthreads();
  if (threadIdx.x % WARP == 0) scratch[threadIdx.x / WARP] = x;
  __syncthreads();
  X sum = threadIdx.x % WARP < blockDim.x / WARP ? scratch[threadIdx.x % WARP] : (X)0;
  return warp_sum(sum);
}
DEVICE float block_max(float x, float* scratch) {
  x = warp_max(x);
  __syncthreads();
  if (threadIdx.x % WARP == 0) scratch[threadIdx.x / WARP] = x;
  __syncthreads();
  float most = threadIdx.x % WARP < blockDim.x / WARP ? scratch[threadIdx.x % WARP] : -INF;
  return warp_max(most);
}

// Philox4x32-10 (Salmon et al., SC 2011), the generator of troupe.core.random.Philox.
struct Words { u32 w[4]; };
DEVICE Words philox(u64 key, u32 c0, u32 c1, u32 c2, u32 c3) {
  u32 k0 = (u32)key, k1 = (u32)(key >> 32);
#pragma unroll
  for (int round = 0; round < 10; round++) {
    u64 p0 = (u64)0xD2511F53u * c0, p1 = (u64)0xCD9E8D57u * c2;
    c0 = (u32)(p1 >> 32) ^ c1 ^ k0;
    c1 = (u32)p1;
    c2 = (u32)(p0 >> 32) ^ c3 ^ k1;
    c3 = (u32)p0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  Words words = {{c0, c1, c2, c3}};
  return words;
}

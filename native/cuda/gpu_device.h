#pragma once

// gpu.h under nvcc: wrappers of PTX instructions, and launches.

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <type_traits>
#include <utility>

#define PLANTED(bug) false
#define DEVICE __device__ __forceinline__
// Whether the code that is compiled may multiply by e4m3.
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 890
#define DEEPCACHE_FP8 1
#else
#define DEEPCACHE_FP8 0
#endif
#define DYNAMIC_SHARED(name) extern __shared__ __align__(1024) unsigned char name[]
#define SHARED_ARRAY(T, name, count) __shared__ T name[count]

namespace deepcache::cuda {

using Half = __half;
using Bfloat16 = __nv_bfloat16;
struct Stream {
  cudaStream_t handle = nullptr;
  // Whether a grid may start before the one before it has ended; see gpu::allow_overlap.
  bool overlaps = false;
};
using EventHandle = cudaEvent_t;
using GraphHandle = cudaGraphExec_t;

template <typename T>
struct Number;
template <>
struct Number<__half> {
  static DEVICE float widen(__half v) { return __half2float(v); }
  static DEVICE __half narrow(float v) { return __float2half_rn(v); }
  static DEVICE uint32_t pack(float low, float high) {
    const __half2 pair = __floats2half2_rn(low, high);
    return *reinterpret_cast<const uint32_t*>(&pair);
  }
};
template <>
struct Number<__nv_bfloat16> {
  static DEVICE float widen(__nv_bfloat16 v) { return __bfloat162float(v); }
  static DEVICE __nv_bfloat16 narrow(float v) { return __float2bfloat16_rn(v); }
  static DEVICE uint32_t pack(float low, float high) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const uint32_t*>(&pair);
  }
};

DEVICE uint32_t shared_address(const void* p) { return uint32_t(__cvta_generic_to_shared(p)); }

// Matrix l / 8's row l % 8 from lane l: four 8x8 matrices of 16-bit values.
DEVICE void ldmatrix_x4(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row)));
}
DEVICE void ldmatrix_x4_transposed(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row)));
}

// d += a b for a 16x16 a and a 16x8 b.
template <typename T>
DEVICE void mma_16816(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  if constexpr (std::is_same_v<T, __half>)
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  else
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// The same for a 16x32 a and a 32x8 b of e4m3, four values in a register.
DEVICE void mma_16832_e4m3([[maybe_unused]] float (&d)[4], [[maybe_unused]] const uint32_t (&a)[4],
                           [[maybe_unused]] const uint32_t (&b)[2]) {
#if DEEPCACHE_FP8
  asm volatile(
      "mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// As two codes of e4m3, rounded as float_to_e4m3() does (runtime/e4m3.h).
DEVICE uint16_t pack_e4m3([[maybe_unused]] float low, [[maybe_unused]] float high) {
  uint16_t codes = 0;
#if DEEPCACHE_FP8
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %2, %1;" : "=h"(codes) : "f"(low), "f"(high));
#endif
  return codes;
}

// 2^x to about 2 units in the last place; 0 below 2^-126.
DEVICE float fast_exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// 1 / x to one unit in the last place; 0 for what is above 2^126, infinity below 2^-126.
DEVICE float fast_reciprocal(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// The value, which the compiler uses no earlier than here.
DEVICE int not_before(int value) {
  asm volatile("" : "+r"(value)::"memory");
  return value;
}

// 16 bytes to shared memory, zeros when not `valid`; `from` is an address of the buffer all the
// same.
DEVICE void cp_async16(void* to, const void* from, bool valid) {
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(shared_address(to)),
               "l"(from), "r"(valid ? 16 : 0)
               : "memory");
}
DEVICE void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Until at most kKeep groups of the thread are in flight.
template <int kKeep>
DEVICE void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kKeep) : "memory");
}

namespace gpu {

// Throws an Error that names what failed.
void check(cudaError_t result, const char* what);

template <typename... P, typename... A>
void enqueue_grid(void (*kernel)(P...), unsigned cluster, dim3 grid, dim3 block,
                  size_t shared_bytes, Stream stream, A&&... arguments) {
  cudaLaunchAttribute attributes[2] = {};
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream.handle;
  config.attrs = attributes;
  if (stream.overlaps) {
    cudaLaunchAttribute& attribute = attributes[config.numAttrs++];
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
  }
  if (cluster > 1) {
    cudaLaunchAttribute& attribute = attributes[config.numAttrs++];
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim = {cluster, 1, 1};
  }
  check(cudaLaunchKernelEx(&config, kernel, static_cast<P>(arguments)...), "launch of a kernel");
}

}  // namespace gpu
}  // namespace deepcache::cuda

#pragma once

// What the processor and the system allow of the instruction sets that the kernels are compiled
// for.
// (__builtin_cpu_supports needs a runtime library that not every compiler comes with.)

namespace deepcache {

#if defined(__x86_64__)
// AVX2, FMA and F16C.
bool has_avx2();
// AVX-512 F, BW, DQ and VL, and all of has_avx2().
bool has_avx512();
// AVX512_BF16, and all of has_avx512().
bool has_avx512_bf16();
// AMX's tiles and their products of bf16, and all of has_avx512_bf16(). Asks the system, once, to
// let the process use them: Linux 5.16 or newer, nobody else.
bool has_amx_bf16();
#elif defined(__aarch64__)
// FEAT_BF16: BFMMLA and its relatives.
bool has_neon_bf16();
#endif

}  // namespace deepcache

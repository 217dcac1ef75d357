#pragma once

// AMX's instructions. GCC's intrinsics want literal numbers of tiles, and GCC 12 moves ordinary
// stores across them.

#include <cstddef>

#include "tile_shapes.h"

namespace deepcache::cpu::DEEPCACHE_ISA {

static inline void tile_configure(const TileShapes& shapes) {
  __asm__ volatile("ldtilecfg %0" ::"m"(shapes) : "memory");
}
static inline void tile_release() { __asm__ volatile("tilerelease" ::: "memory"); }

template <int T>
static inline void tile_zero() {
  __asm__ volatile("tilezero %%tmm%c0" ::"i"(T));
}
// Rows are `stride` bytes apart.
template <int T>
static inline void tile_load(const void* from, ptrdiff_t stride) {
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(T) : "memory");
}
template <int T>
static inline void tile_store(void* to, ptrdiff_t stride) {
  __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(T) : "memory");
}
// Sum += A B.
template <int Sum, int A, int B>
static inline void tile_dot() {
  __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(Sum), "i"(A), "i"(B));
}

}  // namespace deepcache::cpu::DEEPCACHE_ISA

#pragma once

// wgmma under nvcc: the four warps of a warpgroup compute d = a b or d += a b for a 64 x 16 a and a
// 16 x kColumns b of 16-bit values, asynchronously. a is in shared memory (by its descriptor) or in
// registers, b in shared memory: kColumns rows of 16, or, kTransposedB, 16 rows of kColumns. Of
// e4m3, both are in shared memory and have 32 values of k, so as many bytes; neither can be
// transposed.
//
// Accumulators are laid out as mma.sync's: for each 8 columns j a thread holds d[4 j] to d[4 j +
// 3], columns 8 j + 2 (lane % 4) and the next of row lane / 4, then of row lane / 4 + 8 of its
// warp's 16.
//
// PTX wants every register by name, so there is a specialisation for each number of columns in use,
// which the macros write out.

#include "cuda/matrix_descriptor.h"

// Operands d[i] and on.
#define DEEPCACHE_D4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define DEEPCACHE_D8(i) DEEPCACHE_D4(i), DEEPCACHE_D4(i + 4)
#define DEEPCACHE_D16(i) DEEPCACHE_D8(i), DEEPCACHE_D8(i + 8)
#define DEEPCACHE_D32(i) DEEPCACHE_D16(i), DEEPCACHE_D16(i + 16)
#define DEEPCACHE_D64(i) DEEPCACHE_D32(i), DEEPCACHE_D32(i + 32)
#define DEEPCACHE_LIST(...) __VA_ARGS__

// The names of the first 16, 20, ... of them.
#define DEEPCACHE_N16 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15"
#define DEEPCACHE_N20 DEEPCACHE_N16 ",%16,%17,%18,%19"
#define DEEPCACHE_N32 DEEPCACHE_N20 ",%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define DEEPCACHE_N40 DEEPCACHE_N32 ",%32,%33,%34,%35,%36,%37,%38,%39"
#define DEEPCACHE_N48 DEEPCACHE_N40 ",%40,%41,%42,%43,%44,%45,%46,%47"
#define DEEPCACHE_N64 \
  DEEPCACHE_N48       \
  ",%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define DEEPCACHE_N80 \
  DEEPCACHE_N64       \
  ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79"
#define DEEPCACHE_N96 \
  DEEPCACHE_N80       \
  ",%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95"
#define DEEPCACHE_N128                                                           \
  DEEPCACHE_N96                                                                  \
  ",%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111" \
  ",%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"

// Behind them come the operands accumulate (p), kTransposedB (t), b, and a. 16-bit types have flags
// for transposition: of a in shared memory, which is 0, and of b.
#define DEEPCACHE_WGMMA_TEXT(columns, type, names, p, b, a, flags)                                \
  "{\n.reg .pred p;\nsetp.ne.b32 p, %" #p                                                         \
  ", 0;\n"                                                                                        \
  "wgmma.mma_async.sync.aligned.m64n" #columns type " {" names "}, " a ", %" #b ", p, 1, 1" flags \
  ";\n}"

#define DEEPCACHE_WGMMA_SHARED(columns, type, names, registers, p, b, a, flags) \
  asm volatile(DEEPCACHE_WGMMA_TEXT(columns, type, names, p, b, "%" #a, flags)  \
               : DEEPCACHE_LIST registers                                       \
               : "r"(accumulate), "n"(kTransposedB), "l"(b_descriptor), "l"(a_descriptor))

#define DEEPCACHE_WGMMA_REGISTERS(columns, type, names, registers, p, t, b, a0, a1, a2, a3)   \
  asm volatile(DEEPCACHE_WGMMA_TEXT(columns, type, names, p, b,                               \
                                    "{%" #a0 ", %" #a1 ", %" #a2 ", %" #a3 "}", ", %" #t)     \
               : DEEPCACHE_LIST registers                                                     \
               : "r"(accumulate), "n"(kTransposedB), "l"(b_descriptor), "r"(a[0]), "r"(a[1]), \
                 "r"(a[2]), "r"(a[3]))

#define DEEPCACHE_F16 "k16.f32.f16.f16"
#define DEEPCACHE_BF16 "k16.f32.bf16.bf16"

#define DEEPCACHE_WGMMA(columns, names, registers, p, t, b, a0, a1, a2, a3)                        \
  template <>                                                                                      \
  struct Wgmma<columns> {                                                                          \
    template <typename T, int kTransposedB>                                                        \
    static DEVICE void run(float (&d)[columns / 2], uint64_t a_descriptor, uint64_t b_descriptor,  \
                           int accumulate) {                                                       \
      static_assert(!std::is_same_v<T, E4m3> || !kTransposedB);                                    \
      if constexpr (std::is_same_v<T, E4m3>)                                                       \
        DEEPCACHE_WGMMA_SHARED(columns, "k32.f32.e4m3.e4m3", names, registers, p, b, a0, "");      \
      else if constexpr (std::is_same_v<T, __half>)                                                \
        DEEPCACHE_WGMMA_SHARED(columns, DEEPCACHE_F16, names, registers, p, b, a0, ", 0, %" #t);   \
      else                                                                                         \
        DEEPCACHE_WGMMA_SHARED(columns, DEEPCACHE_BF16, names, registers, p, b, a0, ", 0, %" #t);  \
    }                                                                                              \
    template <typename T, int kTransposedB>                                                        \
    static DEVICE void run(float (&d)[columns / 2], const uint32_t (&a)[4], uint64_t b_descriptor, \
                           int accumulate) {                                                       \
      static_assert(!std::is_same_v<T, E4m3>);                                                     \
      if constexpr (std::is_same_v<T, __half>)                                                     \
        DEEPCACHE_WGMMA_REGISTERS(columns, DEEPCACHE_F16, names, registers, p, t, b, a0, a1, a2,   \
                                  a3);                                                             \
      else                                                                                         \
        DEEPCACHE_WGMMA_REGISTERS(columns, DEEPCACHE_BF16, names, registers, p, t, b, a0, a1, a2,  \
                                  a3);                                                             \
    }                                                                                              \
  }

namespace deepcache::cuda {

template <int kColumns>
struct Wgmma;
DEEPCACHE_WGMMA(32, DEEPCACHE_N16, (DEEPCACHE_D16(0)), 16, 17, 18, 19, 20, 21, 22);
DEEPCACHE_WGMMA(40, DEEPCACHE_N20, (DEEPCACHE_D16(0), DEEPCACHE_D4(16)), 20, 21, 22, 23, 24, 25,
                26);
DEEPCACHE_WGMMA(64, DEEPCACHE_N32, (DEEPCACHE_D32(0)), 32, 33, 34, 35, 36, 37, 38);
DEEPCACHE_WGMMA(80, DEEPCACHE_N40, (DEEPCACHE_D32(0), DEEPCACHE_D8(32)), 40, 41, 42, 43, 44, 45,
                46);
DEEPCACHE_WGMMA(96, DEEPCACHE_N48, (DEEPCACHE_D32(0), DEEPCACHE_D16(32)), 48, 49, 50, 51, 52, 53,
                54);
DEEPCACHE_WGMMA(128, DEEPCACHE_N64, (DEEPCACHE_D64(0)), 64, 65, 66, 67, 68, 69, 70);
DEEPCACHE_WGMMA(160, DEEPCACHE_N80, (DEEPCACHE_D64(0), DEEPCACHE_D16(64)), 80, 81, 82, 83, 84, 85,
                86);
DEEPCACHE_WGMMA(192, DEEPCACHE_N96, (DEEPCACHE_D64(0), DEEPCACHE_D32(64)), 96, 97, 98, 99, 100, 101,
                102);
DEEPCACHE_WGMMA(256, DEEPCACHE_N128, (DEEPCACHE_D64(0), DEEPCACHE_D64(64)), 128, 129, 130, 131, 132,
                133, 134);

// The first instruction of a group comes after wgmma_fence(); d and a registers' values may be used
// again after wgmma_wait.
template <typename T, int kColumns, int kTransposedB = 0>
DEVICE void wgmma(float (&d)[kColumns / 2], uint64_t a, uint64_t b, bool accumulate) {
  Wgmma<kColumns>::template run<T, kTransposedB>(d, a, b, accumulate);
}
template <typename T, int kColumns, int kTransposedB = 0>
DEVICE void wgmma(float (&d)[kColumns / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate) {
  Wgmma<kColumns>::template run<T, kTransposedB>(d, a, b, accumulate);
}

// Before a group's first instruction: writes of registers come before the instructions' accesses.
DEVICE void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Until at most kKeep groups of the warpgroup are in flight.
template <int kKeep>
DEVICE void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kKeep) : "memory");
}
// Keeps what computes the value, which is never negative, before a wait that follows: the assembler
// moves waits up over arithmetic, but not over a branch.
DEVICE void wgmma_hold(float value) {
  asm volatile("{\n.reg .pred p;\nsetp.lt.f32 p, %0, 0f00000000;\n@p trap;\n}" ::"f"(value)
               : "memory");
}
// Beside a fence or a wait: keeps the compiler from moving uses of the accumulators over it, which
// would make the assembler run the instructions one by one.
template <int kCount>
DEVICE void wgmma_pin(float (&d)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; i++) asm volatile("" : "+f"(d[i])::"memory");
}

// Of an operand in shared memory, in TMA's 128-byte swizzle, whose base is aligned to 1024 bytes:
// rows of 128 bytes, 8 of them `stride_bytes` (1024, when they are dense) from the next 8; a
// further 32 bytes are an instruction's values of k. Transposed (rows along k): `leading_bytes` lie
// between 64 columns and the next.
DEVICE uint64_t wgmma_descriptor(const void* data, int leading_bytes, int stride_bytes) {
  return matrix_descriptor(shared_address(data), leading_bytes, stride_bytes);
}

}  // namespace deepcache::cuda

// Products of bf16, compiled once for each instruction set like kernels.cc, and once more for each
// that multiplies bf16 itself.

#include "kernels.h"
#include "kernels_attention_bf16.h"
#include "kernels_matrix_bf16.h"

namespace deepcache::cpu::DEEPCACHE_ISA {

extern const Bf16Kernels bf16_kernels;
const Bf16Kernels bf16_kernels = {
    gather, pair, multiply_bf16, attention_scratch_bf16, attention_bf16, peak_loop_bf16,
};

}  // namespace deepcache::cpu::DEEPCACHE_ISA

// Products of bf16, compiled once for each instruction set like kernels.cc, and once more for each
// that multiplies bf16 itself.

#include "kernels.h"
#include "kernels_attention_bf16.h"
#include "kernels_epilogue.h"
#include "kernels_matrix_bf16.h"
#include "kernels_norm.h"

namespace deepcache::cpu::DEEPCACHE_ISA {

static void epilogue_bf16(const Epilogue& e) { finish(e, e.bf16_y); }

extern const Bf16Kernels bf16_kernels;
const Bf16Kernels bf16_kernels = {
    gather<float>,  gather<Bf16>,   pair,          multiply_bf16, attention_scratch_bf16,
    attention_bf16, peak_loop_bf16, epilogue_bf16, channel_sums,  scale_shift,
    scale_shift,    scale_shift,    layer_norm,
};

}  // namespace deepcache::cpu::DEEPCACHE_ISA

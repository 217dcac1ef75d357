// The inner loops, compiled once for each instruction set (cmake/Core.cmake), with DEEPCACHE_ISA as
// the namespace. No standard library here: an inline function of it that the linker took from this
// object would carry wide instructions into code for every processor.

#include "kernels.h"

#include "kernels_attention.h"
#include "kernels_e4m3.h"
#include "kernels_elementwise.h"
#include "kernels_epilogue.h"
#include "kernels_matrix.h"
#include "kernels_norm.h"
#include "kernels_peak.h"
#include "simd.h"

#define DEEPCACHE_TEXT_(x) #x
#define DEEPCACHE_TEXT(x) DEEPCACHE_TEXT_(x)

namespace deepcache::cpu::DEEPCACHE_ISA {

static void epilogue(const Epilogue& e) { finish(e, e.y); }

extern const Bf16Kernels bf16_kernels;  // kernels_bf16.cc
extern const Kernels kernels;
const Kernels kernels = {
    DEEPCACHE_TEXT(DEEPCACHE_ISA),
    kLanes,
    kTileRows,
    kPanel,
    transpose,
    transpose_away,
    multiply,
    epilogue,
    attention_scratch,
    attention,
    channel_sums,
    scale_shift,
    layer_norm,
    elementwise,
    largest,
    round_to_e4m3,
    peak_loop,
    &bf16_kernels,
    false,
};

}  // namespace deepcache::cpu::DEEPCACHE_ISA

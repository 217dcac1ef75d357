// Products of e4m3 codes (matmul_e4m3.h) for Hopper: matmul_sm90.cu's kernel, whose rows of 128
// bytes hold twice the values of k. Stages, swizzle, boxes and the number of wgmmas for a stage
// stay as they are; behind the sums, scales of outputs come beside the bias, those of inputs row by
// row.
//
// Shapes: as there, of one input whose channels are a multiple of 16.
//
// Hopper's tensor cores add products of e4m3 with fewer bits than fp32 has (docs/fp8.md).

#include "cuda/kernels/matmul_sm90_block.h"

namespace deepcache::cuda {
namespace {

using namespace matmul_sm90;

template <typename T, typename Tile, Finish kFinish>
__global__ void __launch_bounds__(kThreads, 1)
    matmul_e4m3_sm90_kernel(const __grid_constant__ MatmulArgs args,
                            const __grid_constant__ MatmulBoxes boxes,
                            const __grid_constant__ Schedule schedule) {
#if DEEPCACHE_SM90A
  run_block<T, E4m3, Tile, kFinish>(args, boxes, schedule);
#endif
}

}  // namespace

template <typename T>
void launch_matmul_e4m3_sm90(const MatmulArgs& args, const MatmulBoxes& boxes, MatmulTile tile,
                             int blocks, Stream stream) {
  with_kernel(tile, args.finish(), [&](auto tile, auto finish) {
    // Norms are folded into products of 16 bits alone.
    if constexpr (constexpr Finish kFinish = decltype(finish)::value; kFinish == kUnfolded<kFinish>)
      launch_tiles<decltype(tile)>(matmul_e4m3_sm90_kernel<T, decltype(tile), kFinish>, args, boxes,
                                   blocks, stream);
  });
}

template void launch_matmul_e4m3_sm90<Half>(const MatmulArgs&, const MatmulBoxes&, MatmulTile, int,
                                            Stream);

}  // namespace deepcache::cuda

// Matrix products and convolutions (matmul.h) for Hopper (sm_90a): TMA, mbarriers and wgmma.
//
// Shapes: any whose inputs are of type T with channel counts that are multiples of 8. A tile's rows
// are a box of output pixels (columns, rows, samples); for each tap and 64 channels of an input TMA
// fetches the box's input pixels, zeros where they lie outside, and the weight's rows. Channels
// behind an input's last arrive as zeros too, so that the weight's values beside them do not count.
// A box of fewer pixels than the tile has rows leaves rows that nobody reads.
//
// Why it is fast: one thread of the first warpgroup keeps a ring of 64-deep stages filled; the
// other two warpgroups hold half the tile's sums each and multiply straight from shared memory, in
// TMA's swizzle, without address arithmetic. As many blocks as multiprocessors go from tile to
// tile, the next tile's loads running under the epilogue. What is not a product is kept short:
// where a tile lies is found without divisions, there is a kernel for each way to finish, and a
// tile's bias comes while it is multiplied. 160 columns fill the waves of a U-Net's channel counts
// (multiples of 320); tiles of 256 rows or columns read less from shared memory for each product.
// Phases, splits of k and a resnet's shortcut are part of the same loop.

#include "cuda/kernels/matmul_sm90_block.h"

namespace deepcache::cuda {
namespace {

using namespace matmul_sm90;

template <typename T, typename Tile, Finish kFinish>
__global__ void __launch_bounds__(kThreads, 1)
    matmul_sm90_kernel(const __grid_constant__ MatmulArgs args,
                       const __grid_constant__ MatmulBoxes boxes,
                       const __grid_constant__ Schedule schedule) {
#if DEEPCACHE_SM90A
  run_block<T, T, Tile, kFinish>(args, boxes, schedule);
#endif
}

}  // namespace

MatmulTileInfo matmul_sm90_tile(MatmulTile tile) {
  return with_tile(tile, [](auto tile) {
    using Tile = decltype(tile);
    return MatmulTileInfo{Tile::kRows, Tile::kColumns, kThreads, Tile::kSharedBytes, Tile::kWidth};
  });
}

template <typename T>
void launch_matmul_sm90(const MatmulArgs& args, const MatmulBoxes& boxes, MatmulTile tile,
                        int blocks, Stream stream) {
  with_kernel(tile, args.finish(), [&](auto tile, auto finish) {
    launch_tiles<decltype(tile)>(matmul_sm90_kernel<T, decltype(tile), decltype(finish)::value>,
                                 args, boxes, blocks, stream);
  });
}

template void launch_matmul_sm90<Half>(const MatmulArgs&, const MatmulBoxes&, MatmulTile, int,
                                       Stream);
template void launch_matmul_sm90<Bfloat16>(const MatmulArgs&, const MatmulBoxes&, MatmulTile, int,
                                           Stream);

}  // namespace deepcache::cuda

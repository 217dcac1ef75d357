// matmul_sm90.cu's products by pairs of blocks, clusters of two whose tiles lie one above the other
// and share their weights.
//
// Shapes: matmul_sm90.cu's, whose tiles in a column are even in number.
//
// Why it is fast: each block of a pair fetches half of the weights, and TMA writes it to both.
// Tiles of 128x160 and smaller wait for L2, which is asked for a quarter to a third less.

#include "cuda/kernels/matmul_sm90_block.h"

namespace deepcache::cuda {
namespace {

using namespace matmul_sm90;

template <typename T, typename Tile, Finish kFinish>
__global__ void __launch_bounds__(kThreads, 1)
    matmul_sm90_pairs_kernel(const __grid_constant__ MatmulArgs args,
                             const __grid_constant__ MatmulBoxes boxes,
                             const __grid_constant__ Schedule schedule) {
#if DEEPCACHE_SM90A
  run_block<T, T, Tile, kFinish>(args, boxes, schedule);
#endif
}

template <typename Visit>
void with_pairs(MatmulTile tile, const Visit& visit) {
  switch (tile) {
    case MatmulTile::sm90_64x160_pairs:
      return visit(Pairs<Tile<64, 160, 8>>());
    case MatmulTile::sm90_128x160_pairs:
      return visit(Pairs<Tile<128, 160, 6>>());
    default:
      return visit(Pairs<Tile<128, 256, 4>>());
  }
}

}  // namespace

bool matmul_sm90_pairs_fit() {
  using Tile = Pairs<Tile<128, 256, 4>>;
  const auto kernel = matmul_sm90_pairs_kernel<Half, Tile, Finish::plain>;
  return gpu::clusters_fit(reinterpret_cast<const void*>(kernel), 2, kThreads, Tile::kSharedBytes);
}

template <typename T>
void launch_matmul_sm90_pairs(const MatmulArgs& args, const MatmulBoxes& boxes, MatmulTile tile,
                              int blocks, Stream stream) {
  with_pairs(tile, [&](auto size) {
    using Tile = decltype(size);
    with_finish(args.finish(), [&](auto finish) {
      launch_tiles<Tile>(matmul_sm90_pairs_kernel<T, Tile, decltype(finish)::value>, args, boxes,
                         blocks, stream);
    });
  });
}

template void launch_matmul_sm90_pairs<Half>(const MatmulArgs&, const MatmulBoxes&, MatmulTile, int,
                                             Stream);
template void launch_matmul_sm90_pairs<Bfloat16>(const MatmulArgs&, const MatmulBoxes&, MatmulTile,
                                                 int, Stream);

}  // namespace deepcache::cuda

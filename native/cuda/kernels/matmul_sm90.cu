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

#include <algorithm>

#include "cuda/kernels/matmul_sm90_consumer.h"
#include "cuda/kernels/matmul_sm90_producer.h"

namespace deepcache::cuda {
namespace {

using namespace matmul_sm90;

using Tile64x160 = Tile<64, 160, 8>;
using Tile128x128 = Tile<128, 128, 6>;
using Tile128x160 = Tile<128, 160, 6>;
using Tile256x160 = Tile<256, 160, 4>;
using Tile128x256 = Tile<128, 256, 4>;

template <typename T, typename Tile, Finish kFinish>
__global__ void __launch_bounds__(kThreads, 1)
    matmul_sm90_kernel(const __grid_constant__ MatmulArgs args,
                       const __grid_constant__ MatmulBoxes boxes,
                       const __grid_constant__ Schedule schedule) {
#if DEEPCACHE_SM90A
  DYNAMIC_SHARED(memory);
  const Shared<Tile> shared(memory);
  if (threadIdx.x == 0) {
    for (int i = 0; i < args.segment_count; i++) prefetch_map(&boxes.weight[i]);
    prefetch_map(&boxes.x[0][0]);
    shared.initialise();
  }
  __syncthreads();
  const int group = int(threadIdx.x) / 128;
  if (group == 0) {
    registers_shrink<24>();
    if (threadIdx.x == 0) produce(args, boxes, schedule, shared);
  } else {
    registers_grow<240>();
    wait_for_previous_grid();
    Consumer<T, Tile, kFinish>(args, boxes, schedule, shared, group - 1).run();
  }
#endif
}

int chunks_of(const MatmulSegment& s) {
  const auto chunks = [](int channels) { return (channels + kMatmulChunk - 1) / kMatmulChunk; };
  return s.kernel_h * s.kernel_w * (chunks(s.channels[0]) + chunks(s.channels[1]));
}

Schedule make_schedule(const MatmulArgs& args, const MatmulBoxes& boxes, int tile_columns) {
  const int columns = (args.columns + tile_columns - 1) / tile_columns;
  int chunks = 0;
  for (int i = 0; i < args.segment_count; i++) chunks += chunks_of(args.segments[i]);
  Schedule all;
  all.items = boxes.across * boxes.down * boxes.deep * args.phases * args.splits * columns;
  all.columns = Divisor(columns);
  all.splits = Divisor(args.splits);
  all.across = Divisor(boxes.across);
  all.down = Divisor(boxes.down);
  all.deep = Divisor(boxes.deep);
  all.box_w = Divisor(boxes.w);
  all.box_h = Divisor(boxes.h);
  all.chunks = chunks / args.splits;
  all.longer = chunks % args.splits;
  return all;
}

template <typename Visit>
auto with_tile(MatmulTile tile, const Visit& visit) {
  switch (tile) {
    case MatmulTile::sm90_64x160:
      return visit(Tile64x160());
    case MatmulTile::sm90_128x128:
      return visit(Tile128x128());
    case MatmulTile::sm90_128x160:
      return visit(Tile128x160());
    case MatmulTile::sm90_256x160:
      return visit(Tile256x160());
    default:
      return visit(Tile128x256());
  }
}

template <typename T, typename Tile>
auto kernel_for(Finish finish) -> decltype(&matmul_sm90_kernel<T, Tile, Finish::plain>) {
  switch (finish) {
    case Finish::plain:
      return matmul_sm90_kernel<T, Tile, Finish::plain>;
    case Finish::residual:
      return matmul_sm90_kernel<T, Tile, Finish::residual>;
    case Finish::apart:
      return matmul_sm90_kernel<T, Tile, Finish::apart>;
    case Finish::general:
      if constexpr (Tile::finishes(Finish::general))
        return matmul_sm90_kernel<T, Tile, Finish::general>;
      break;
    case Finish::geglu:
      if constexpr (Tile::finishes(Finish::geglu))
        return matmul_sm90_kernel<T, Tile, Finish::geglu>;
      break;
  }
  throw Error(ErrorCode::kInternal, "no kernel finishes this product");
}

}  // namespace

MatmulTileInfo matmul_sm90_tile(MatmulTile tile) {
  return with_tile(tile, [](auto tile) {
    using Tile = decltype(tile);
    return MatmulTileInfo{Tile::kRows, Tile::kColumns, kThreads, Tile::kSharedBytes};
  });
}

bool matmul_sm90_finishes(MatmulTile tile, Finish finish) {
  return with_tile(tile, [&](auto tile) { return decltype(tile)::finishes(finish); });
}

template <typename T>
void launch_matmul_sm90(const MatmulArgs& args, const MatmulBoxes& boxes, MatmulTile tile,
                        int blocks, Stream stream) {
  with_tile(tile, [&](auto tile) {
    using Tile = decltype(tile);
    const Schedule schedule = make_schedule(args, boxes, Tile::kColumns);
    gpu::launch(kernel_for<T, Tile>(args.finish()),
                dim3(unsigned(std::min(schedule.items, blocks))), dim3(kThreads),
                Tile::kSharedBytes, stream, args, boxes, schedule);
  });
}

template void launch_matmul_sm90<Half>(const MatmulArgs&, const MatmulBoxes&, MatmulTile, int,
                                       Stream);
template void launch_matmul_sm90<Bfloat16>(const MatmulArgs&, const MatmulBoxes&, MatmulTile, int,
                                           Stream);

}  // namespace deepcache::cuda

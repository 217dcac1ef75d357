#pragma once

// A block of matmul_sm90.cu's kernel and of matmul_e4m3_sm90.cu's, and how they are launched.

#include <algorithm>
#include <type_traits>

#include "cuda/kernels/matmul_sm90_consumer.h"
#include "cuda/kernels/matmul_sm90_producer.h"

namespace deepcache::cuda::matmul_sm90 {

#if DEEPCACHE_SM90A
// Operand: what is multiplied, T or E4m3.
template <typename T, typename Operand, typename Tile, Finish kFinish>
DEVICE void run_block(const MatmulArgs& args, const MatmulBoxes& boxes, const Schedule& schedule) {
  DYNAMIC_SHARED(memory);
  const Shared<Tile> shared(memory);
  if (threadIdx.x == 0) {
    for (int i = 0; i < args.segment_count; i++) prefetch_map(&boxes.weight[i]);
    prefetch_map(&boxes.x[0][0]);
    shared.initialise();
  }
  if constexpr (Tile::kPairs) {  // until the other one has initialised its barriers, too
    cluster_arrive();
    if (!PLANTED(31)) cluster_wait();
  }
  __syncthreads();
  const int group = int(threadIdx.x) / 128;
  if (group == 0) {
    registers_shrink<Tile::kPairs ? 40 : 24>();
    if (threadIdx.x == 0) produce<Operand>(args, boxes, schedule, shared);
  } else {
    registers_grow<Tile::kPairs ? 232 : 240>();
    wait_for_previous_grid();
    Consumer<T, Operand, Tile, kFinish>(args, boxes, schedule, shared, group - 1).run();
  }
  // While one of a pair runs, it needs the other one's barriers.
  if constexpr (Tile::kPairs) {
    if (PLANTED(32)) return;
    __syncwarp();
    cluster_arrive();
    cluster_wait();
  }
}
#endif

inline Schedule make_schedule(const MatmulArgs& args, const MatmulBoxes& boxes, int tile_columns) {
  const int columns = (args.columns + tile_columns - 1) / tile_columns;
  const int chunks = matmul_sm90_chunks(args);
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
  switch (unpaired(tile)) {
    case MatmulTile::sm90_64x160:
      return visit(Tile<64, 160, 8>());
    case MatmulTile::sm90_128x128:
      return visit(Tile<128, 128, 6>());
    case MatmulTile::sm90_128x160:
      return visit(Tile<128, 160, 6>());
    case MatmulTile::sm90_256x160:
      return visit(Tile<256, 160, 4>());
    default:
      return visit(Tile<128, 256, 4>());
  }
}

template <typename Visit>
void with_finish(Finish finish, const Visit& visit) {
  switch (finish) {
    case Finish::plain:
      return visit(std::integral_constant<Finish, Finish::plain>());
    case Finish::residual:
      return visit(std::integral_constant<Finish, Finish::residual>());
    case Finish::general:
      return visit(std::integral_constant<Finish, Finish::general>());
    case Finish::geglu:
      return visit(std::integral_constant<Finish, Finish::geglu>());
    case Finish::apart:
      return visit(std::integral_constant<Finish, Finish::apart>());
    case Finish::plain_summed:
      return visit(std::integral_constant<Finish, Finish::plain_summed>());
    case Finish::residual_summed:
      return visit(std::integral_constant<Finish, Finish::residual_summed>());
    case Finish::plain_normed:
      return visit(std::integral_constant<Finish, Finish::plain_normed>());
    case Finish::geglu_normed:
      return visit(std::integral_constant<Finish, Finish::geglu_normed>());
  }
}

// Calls `visit` with the tile and the way to finish as types.
template <typename Visit>
void with_kernel(MatmulTile tile, Finish finish, const Visit& visit) {
  with_tile(tile,
            [&](auto tile) { with_finish(finish, [&](auto finish) { visit(tile, finish); }); });
}

template <typename Tile, typename Kernel>
void launch_tiles(Kernel* kernel, const MatmulArgs& args, const MatmulBoxes& boxes, int blocks,
                  Stream stream) {
  Schedule schedule = make_schedule(args, boxes, Tile::kColumns);
  schedule.items >>= Tile::kPairs;
  const int most = std::min(schedule.items, blocks >> Tile::kPairs) << Tile::kPairs;
  gpu::launch_clusters(kernel, 1 + Tile::kPairs, dim3(unsigned(most)), dim3(kThreads),
                       Tile::kSharedBytes, stream, args, boxes, schedule);
}

}  // namespace deepcache::cuda::matmul_sm90

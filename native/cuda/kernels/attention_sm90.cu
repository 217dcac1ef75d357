// Attention for sm_90a (TMA, mbarriers, wgmma): what attention.cu computes, for heads of up to 160
// channels without a causal mask, whose tensors TMA can address (can_attend_sm90).
//
// A unit of work is 128 queries of one head; as many blocks as multiprocessors go from unit to
// unit. A producer warp loads a unit's queries once, and keys and values in tiles through a ring of
// two stages; two consumer warpgroups own 64 queries each. Tensors are seen as
// [sequence][token][head][channel], so that a box of 64 channels ends with the head: what lies
// behind it arrives as zeros, as do rows behind the last token. Boxes and wgmma's operands are in
// the 128-byte swizzle. Values are a transposed operand, whose columns lie 64 to a swizzled row:
// that the product may have 40, 80 or 160 of them is nowhere documented, so that the GPU is asked
// (probe_sm90.cu), and else gets whole 64s, some of them zeros.
//
// Why it is fast: as attention.cu, scores stay in registers. The product with the values runs while
// a warpgroup computes the softmax of the next scores, the copies cost no threads' time,
// consumers take turns so that the products of one run under the softmax of the other, and they
// have the registers that the producer gives back. Of narrow heads' exponentials, which cost more
// than their products, a quarter is computed by the multipliers. Nothing is waited for between
// units: the next one's queries and keys are there, and its first scores are begun before the last
// sums of the unit before it; what is left of a unit is its output, which leaves in whole rows
// through shared memory, while the other warpgroup multiplies. That matters most for the few keys
// of a prompt, one tile to a unit. (Following FlashAttention-3, Shah et al. 2024.)

#include <algorithm>
#include <optional>

#include "cuda/kernels/attention_sm90.h"
#include "cuda/tensor_map.h"

namespace deepcache::cuda {
namespace {

using namespace attention_sm90;

template <typename T, typename Tile>
__global__ void __launch_bounds__(kThreads, 1)
    attention_sm90_kernel(const __grid_constant__ TensorMap q, const __grid_constant__ TensorMap k,
                          const __grid_constant__ TensorMap v, const __grid_constant__ TensorMap y,
                          const Sm90Args args) {
#if DEEPCACHE_SM90A
  DYNAMIC_SHARED(memory);
  const Sm90Shared<Tile> shared(memory);
  if (threadIdx.x == 0) shared.initialise();
  __syncthreads();
  if (threadIdx.x < 128) {
    registers_shrink<24>();
    if (threadIdx.x == 0) produce(shared, &q, &k, &v, args);
  } else {
    registers_grow<240>();
    Sm90Consumer<T, Tile>(shared, args, &y).run();
  }
#endif
}

// Sequences as one axis of a map: sequence s is the axis' s / divisor.
struct SequenceAxis {
  long long count, step;
  int divisor;
};

std::optional<SequenceAxis> sequence_axis(const AttentionRows& rows, const AttentionArgs& args) {
  const long long all = (long long)(args.outer) * args.inner;
  if (all == 1 || (rows.outer == 0 && rows.inner == 0)) return SequenceAxis{1, 8, int(all)};
  if (rows.inner == 0 || args.inner == 1) return SequenceAxis{args.outer, rows.outer, args.inner};
  if (args.outer == 1 || rows.outer == rows.inner * args.inner)
    return SequenceAxis{all, rows.inner, 1};
  return std::nullopt;
}

template <typename T>
TensorMap map_of(const AttentionRows& rows, const AttentionArgs& args, int tokens, int box_rows) {
  const SequenceAxis sequences = *sequence_axis(rows, args);
  const T* const data = static_cast<const T*>(rows.view.data) + rows.offset;
  return gpu::tiled_map(gpu::kMapType<T>, data,
                        {{args.head_width, 2, 64},
                         {args.heads, args.head_width * 2, 1},
                         {tokens, rows.step * 2, box_rows},
                         {sequences.count, sequences.step * 2, 1}},
                        gpu::Swizzle::bytes128);
}

template <int kColumns, int kKeys, int kSums, bool kOverlaps, typename Visit>
auto with_keys(const AttentionArgs& args, const Visit& visit) {
  return args.keys <= kFewKeys ? visit(Sm90Tile<kColumns, kFewKeys, kSums, (kSums <= 160)>())
                               : visit(Sm90Tile<kColumns, kKeys, kSums, kOverlaps>());
}

// Calls `visit` with the tile for a head's width.
template <typename Visit>
auto with_tile(const AttentionArgs& args, const Visit& visit) {
  const int width = args.head_width;
  if (width > 40 && width <= 64) return with_keys<64, 128, 64, true>(args, visit);
  if (width > 80 && width <= 128) return with_keys<128, 128, 128, false>(args, visit);
  if (!args.odd_transposed_v) {
    if (width <= 40) return with_keys<40, 128, 64, true>(args, visit);
    if (width <= 80) return with_keys<80, 96, 128, false>(args, visit);
    return with_keys<160, 64, 192, false>(args, visit);
  }
  if (width <= 40) return with_keys<40, 128, 40, true>(args, visit);
  if (width <= 80) return with_keys<80, 128, 80, true>(args, visit);
  return with_keys<160, 64, 160, true>(args, visit);
}

}  // namespace

bool can_attend_sm90(const AttentionArgs& args) {
  if (args.causal || args.head_width > 160) return false;
  for (const AttentionRows* rows : {&args.q, &args.k, &args.v, &args.y})
    if (!rows->eights || rows->view.fp32 || !sequence_axis(*rows, args)) return false;
  // Few queries leave most of a block idle.
  return args.queries >= kQueries / 2;
}

AttentionKernelInfo attention_sm90_info(const AttentionArgs& args) {
  return with_tile(args, [](auto tile) {
    using Tile = decltype(tile);
    return AttentionKernelInfo{kQueries, Tile::kKeys, Tile::kSums, Tile::kSharedBytes};
  });
}

template <typename T>
void launch_attention_sm90(const AttentionArgs& args, Stream stream) {
  with_tile(args, [&](auto tile) {
    using Tile = decltype(tile);
    const auto divisor = [&](const AttentionRows& rows) {
      return Divisor(sequence_axis(rows, args)->divisor);
    };
    const int query_blocks = (args.queries + kQueries - 1) / kQueries;
    const Sm90Args rest{args.keys,
                        query_blocks * args.heads * args.outer * args.inner,
                        Divisor(query_blocks),
                        Divisor(args.heads),
                        divisor(args.q),
                        divisor(args.k),
                        divisor(args.v),
                        args.scale * kLog2e};
    gpu::launch(attention_sm90_kernel<T, Tile>, dim3(unsigned(std::min(rest.units, args.blocks))),
                dim3(kThreads), Tile::kSharedBytes, stream,
                map_of<T>(args.q, args, args.queries, kQueries),
                map_of<T>(args.k, args, args.keys, Tile::kKeys),
                map_of<T>(args.v, args, args.keys, Tile::kKeys),
                map_of<T>(args.y, args, args.queries, kQueries / 2), rest);
  });
}

template void launch_attention_sm90<Half>(const AttentionArgs&, Stream);
template void launch_attention_sm90<Bfloat16>(const AttentionArgs&, Stream);

}  // namespace deepcache::cuda

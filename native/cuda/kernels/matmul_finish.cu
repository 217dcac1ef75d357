// Finishes products apart from their kernels (see matmul.h): those whose k is split over blocks,
// whose sums are added always in the same order, so that results do not change from run to run, and
// those with outputs or activations that the products' kernels leave out.
//
// Each thread finishes two columns of a row: neighbours read and write neighbouring addresses. Sums
// of rows are gathered by warps, which then have one row each.

#include "cuda/kernels/matmul_epilogue.h"

namespace deepcache::cuda {
namespace {

// Of a row that a whole warp has, or each thread has its own.
DEVICE float2 norm_of_row(const MatmulArgs& args, int row, bool is_whole) {
  const float2* const from = args.input_sums + size_t(row ^ int(PLANTED(98))) * args.input_parts;
  float2 sum = {0, 0};
  for (int part = is_whole ? int(threadIdx.x) % 32 : 0; part < args.input_parts;
       part += is_whole ? 32 : 1) {
    const float2 more = from[part];
    sum = {sum.x + more.x, sum.y + more.y};
  }
  if (is_whole) sum = {warp_sum(sum.x), warp_sum(sum.y)};
  return norm_of(args, sum.x, sum.y);
}

template <typename T>
__global__ void __launch_bounds__(256) finish_kernel(const __grid_constant__ MatmulArgs args) {
  follow_previous_grid();
  const int pairs = (args.columns + 1) / 2, rows = args.phases * args.rows;
  const size_t items = size_t(rows) * pairs, part = size_t(rows) * args.columns;
  const bool is_whole = args.columns % kPartApart == 0;  // rows are of whole warps
  for (size_t item = size_t(blockIdx.x) * blockDim.x + threadIdx.x; item < items;
       item += size_t(gridDim.x) * blockDim.x) {
    const int row = int(item / pairs), column = int(item % pairs) * 2;
    const float* from = args.partials + size_t(row) * args.columns + column;
    const bool two = column + 1 < args.columns;
    const OutputRow to = output_row(args, row / args.rows, row % args.rows);
    const float2 add = row_pair<T>(args, to.sample, column);
    const float2 bias = bias_pair(args, column);
    float2 sum = {0, 0};
    if (!args.normed) sum = {bias.x + add.x, bias.y + add.y};
#pragma unroll 4
    for (int s = PLANTED(5); s < args.splits; s++) {
      sum.x += from[s * part];
      if (two) sum.y += from[s * part + 1];
    }
    if (args.normed) {
      const float2 norm = norm_of_row(args, row, is_whole);
      sum.x = sum.x * norm.x + (args.weight_sums[column] * norm.y + bias.x);
      if (two) sum.y = sum.y * norm.x + (args.weight_sums[column + 1] * norm.y + bias.y);
    }
    const float2 v = write_pair<T>(args, to, column, sum);
    if (!args.sums) continue;
    const float values = warp_sum(v.x + v.y), squares = warp_sum(v.x * v.x + v.y * v.y);
    if (threadIdx.x % 32 == 0)
      args.sums[size_t(row) * args.parts() + (PLANTED(99) ? 0 : column / args.part_columns)] = {
          values, squares};
  }
}

}  // namespace

template <typename T>
void launch_finish(const MatmulArgs& args, Stream stream) {
  const size_t items = size_t(args.phases) * args.rows * ((args.columns + 1) / 2);
  gpu::launch(finish_kernel<T>, dim3(blocks_for(items, 256)), dim3(256), 0, stream, args);
}

template void launch_finish<Half>(const MatmulArgs&, Stream);
template void launch_finish<Bfloat16>(const MatmulArgs&, Stream);

}  // namespace deepcache::cuda

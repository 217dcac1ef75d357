// Finishes products apart from their kernels (see matmul.h): those whose k is split over blocks,
// whose sums are added always in the same order, so that results do not change from run to run, and
// those with outputs or activations that the products' kernels leave out.
//
// Each thread finishes two columns of a row: neighbours read and write neighbouring addresses.

#include "cuda/kernels/matmul_epilogue.h"

namespace deepcache::cuda {
namespace {

template <typename T>
__global__ void __launch_bounds__(256) finish_kernel(const __grid_constant__ MatmulArgs args) {
  follow_previous_grid();
  const int pairs = (args.columns + 1) / 2, rows = args.phases * args.rows;
  const size_t items = size_t(rows) * pairs, part = size_t(rows) * args.columns;
  for (size_t item = size_t(blockIdx.x) * blockDim.x + threadIdx.x; item < items;
       item += size_t(gridDim.x) * blockDim.x) {
    const int row = int(item / pairs), column = int(item % pairs) * 2;
    const float* from = args.partials + size_t(row) * args.columns + column;
    const bool two = column + 1 < args.columns;
    const OutputRow to = output_row(args, row / args.rows, row % args.rows);
    const float2 add = row_pair<T>(args, to.sample, column);
    const float2 bias = bias_pair(args, column);
    float2 sum = {bias.x + add.x, bias.y + add.y};
#pragma unroll 4
    for (int s = PLANTED(5); s < args.splits; s++) {
      sum.x += from[s * part];
      if (two) sum.y += from[s * part + 1];
    }
    write_pair<T>(args, to, column, sum);
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

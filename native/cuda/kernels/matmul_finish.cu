// Finishes products apart from their kernels (see matmul.h): those whose k is split over blocks,
// whose sums are added always in the same order, so that results do not change from run to run, and
// those with outputs or activations that the products' kernels leave out.
//
// Each thread finishes two columns of a row: neighbours read and write neighbouring addresses.

#include "cuda/kernels/matmul_epilogue.h"

namespace deepcache::cuda {
namespace {

// Writes columns `column` and the next.
template <typename T>
DEVICE void write_pair(const MatmulArgs& a, const OutputRow& row, int column, float2 v) {
  if (!row.valid || column >= a.columns) return;
  const bool geglu = a.activation == Activation::geglu;
  const size_t at = row.at + (geglu ? column / 2 : column);
  const bool two = !geglu && column + 1 < a.columns;
  v = geglu ? float2{v.x * activate(Activation::gelu, v.y), 0}
            : float2{activate(a.activation, v.x), activate(a.activation, v.y)};
  float2 residual = {0, 0};
  if (a.has_residual && two && a.pairs) {
    residual = load_pair<T>(a.residual, at);
  } else if (a.has_residual) {
    residual.x = load<T>(a.residual, at);
    if (two) residual.y = load<T>(a.residual, at + 1);
  }
  v = {a.scale * v.x + a.residual_scale * residual.x,
       a.scale * v.y + a.residual_scale * residual.y};
  if (two && a.pairs) return store_pair<T>(a.y, at, v);
  store<T>(a.y, at, v.x);
  if (two) store<T>(a.y, at + 1, v.y);
}

template <typename T>
__global__ void __launch_bounds__(256) finish_kernel(const __grid_constant__ MatmulArgs args) {
  wait_for_previous_grid();
  let_next_grid_start();
  const int pairs = (args.columns + 1) / 2, rows = args.phases * args.rows;
  const size_t items = size_t(rows) * pairs, part = size_t(rows) * args.columns;
  for (size_t item = size_t(blockIdx.x) * blockDim.x + threadIdx.x; item < items;
       item += size_t(gridDim.x) * blockDim.x) {
    const int row = int(item / pairs), column = int(item % pairs) * 2;
    const float* from = args.partials + size_t(row) * args.columns + column;
    const bool two = column + 1 < args.columns;
    const OutputRow to = output_row(args, row / args.rows, row % args.rows);
    float2 sums[1];
    load_bias(args, column, sums);
    add_row_vector<T>(args, to, column, sums);
#pragma unroll 4
    for (int s = PLANTED(5); s < args.splits; s++) {
      sums[0].x += from[s * part];
      if (two) sums[0].y += from[s * part + 1];
    }
    write_pair<T>(args, to, column, sums[0]);
  }
}

}  // namespace

template <typename T>
void launch_finish(const MatmulArgs& args, bool early, Stream stream) {
  const size_t items = size_t(args.phases) * args.rows * ((args.columns + 1) / 2);
  const dim3 grid(blocks_for(items, 256)), block(256);
  if (early)
    gpu::launch_early(finish_kernel<T>, grid, block, 0, stream, args);
  else
    gpu::launch(finish_kernel<T>, grid, block, 0, stream, args);
}

template void launch_finish<Half>(const MatmulArgs&, bool, Stream);
template void launch_finish<Bfloat16>(const MatmulArgs&, bool, Stream);

}  // namespace deepcache::cuda

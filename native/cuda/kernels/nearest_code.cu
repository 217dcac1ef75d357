// y = the row of the table with the least squared distance to x's row, the first of equals.
//
// Shapes: any. The table holds the codes of a vector-quantised autoencoder: 8192 rows of 3 or 4
// values; distances are summed in fp32.
//
// Why it is fast enough: a warp for each row of x: its lanes take every 32nd code, so that the
// table, which fits the L2 cache, is read in whole cache lines; then a reduction that prefers the
// lower index gives the same code as a loop would. It runs once per image.

#include "cuda/op.h"

namespace deepcache::cuda {
namespace {

constexpr int kThreads = 256;

struct NearestCodeArgs {
  View y, x;
  const void* table = nullptr;  // T [codes][width]
  int rows = 0, codes = 0, width = 0;
};

template <typename T>
__global__ void __launch_bounds__(kThreads)
    nearest_code_kernel(const __grid_constant__ NearestCodeArgs args) {
  follow_previous_grid();
  const int row = int(blockIdx.x) * (kThreads / 32) + int(threadIdx.x) / 32,
            lane = threadIdx.x % 32;
  if (row >= args.rows) return;
  const T* const table = static_cast<const T*>(args.table);
  const size_t first = size_t(row) * args.width;
  float least = 3e38f;
  int best = 0;
  for (int code = lane; code < args.codes; code += 32) {
    float distance = 0;
    for (int i = 0; i < args.width; i++) {
      const float d =
          load<T>(args.x, first + i) - Number<T>::widen(table[size_t(code) * args.width + i]);
      distance += d * d;
    }
    if (distance < least) {
      least = distance;
      best = code;
    }
  }
#pragma unroll
  for (int by = 16; by; by >>= 1) {
    const float other = __shfl_xor_sync(kAllLanes, least, by);
    const int code = __shfl_xor_sync(kAllLanes, best, by);
    if (other < least || (other == least && code < best)) {
      least = other;
      best = code;
    }
  }
  for (int i = lane; i < args.width; i += 32)
    store<T>(args.y, first + i, Number<T>::widen(table[size_t(best) * args.width + i]));
}

template <typename T>
void launch_nearest_code(const NearestCodeArgs& args, Stream stream) {
  gpu::launch(nearest_code_kernel<T>, dim3(blocks_for(size_t(args.rows) * 32, kThreads)),
              dim3(kThreads), 0, stream, args);
}

NearestCodeArgs nearest_code_args(const NearestCode& op, const OpContext& context) {
  const WeightPlace& table = context.operands.weights[op.table];
  return {context.operands.view(op.y),
          context.operands.view(op.x),
          table.data,
          int(op.x.shape.rows()),
          table.out,
          op.x.shape.c};
}

}  // namespace

std::unique_ptr<DeviceOp> make_op(const NearestCode& op, const OpContext& context) {
  return make_kernel_op(context, nearest_code_args(op, context), launch_nearest_code<Half>,
                        launch_nearest_code<Bfloat16>, "nearest code");
}

}  // namespace deepcache::cuda

// Squares of pixels as one: their largest value or their mean (runtime/ops/pool.h).
//
// Shapes: any, NHWC; no square lies beyond an edge as a whole.
//
// Why it is fast enough: what a square has in common with the next one comes from the caches,
// neighbours on neighbours.

#include "cuda/op.h"

namespace deepcache::cuda {
namespace {

constexpr int kThreads = 256;

struct PoolArgs {
  View y, x;
  int samples = 0, in_h = 0, in_w = 0, out_h = 0, out_w = 0, channels = 0;
  int kernel = 1, stride = 1, pad = 0;
  bool mean = false;
};

template <typename T>
__global__ void __launch_bounds__(kThreads) pool_kernel(const __grid_constant__ PoolArgs args) {
  follow_previous_grid();
  const size_t count = size_t(args.samples) * args.out_h * args.out_w * args.channels;
  for (size_t i = size_t(blockIdx.x) * kThreads + threadIdx.x; i < count;
       i += size_t(gridDim.x) * kThreads) {
    const size_t pixel = i / args.channels, c = i - pixel * args.channels;
    const int x = int(pixel % args.out_w) * args.stride - args.pad;
    const int y = int(pixel / args.out_w % args.out_h) * args.stride - args.pad;
    const size_t image = pixel / args.out_w / args.out_h * args.in_h;
    const int top = y < 0 ? 0 : y, left = x < 0 ? 0 : x;
    const int bottom = y + args.kernel < args.in_h ? y + args.kernel : args.in_h;
    const int right = x + args.kernel < args.in_w ? x + args.kernel : args.in_w;
    float result = 0;
    for (int row = top; row < bottom; row++)
      for (int column = left; column < right; column++) {
        const float value =
            load<T>(args.x, ((image + row) * args.in_w + column) * args.channels + c);
        if (args.mean)
          result += value;
        else if ((row == top && column == left) || value > result || value != value)
          result = value;
        if (!args.mean && result != result) row = bottom, column = right;  // keeps no number
      }
    if (args.mean) result /= float((bottom - top) * (right - left));
    store<T>(args.y, i, result);
  }
}

template <typename T>
void launch_pool(const PoolArgs& args, Stream stream) {
  const size_t count = size_t(args.samples) * args.out_h * args.out_w * args.channels;
  gpu::launch(pool_kernel<T>, dim3(blocks_for(count, kThreads)), dim3(kThreads), 0, stream, args);
}

PoolArgs pool_args(const Pool& op, const OpContext& context) {
  const Shape &x = op.x.shape, &y = op.y.shape;
  return {context.operands.view(op.y),
          context.operands.view(op.x),
          x.n,
          x.h,
          x.w,
          y.h,
          y.w,
          y.c,
          op.kernel,
          op.stride,
          op.pad,
          op.mean};
}

}  // namespace

std::unique_ptr<DeviceOp> make_op(const Pool& op, const OpContext& context) {
  return make_kernel_op(context, pool_args(op, context), launch_pool<Half>, launch_pool<Bfloat16>,
                        "pool");
}

}  // namespace deepcache::cuda

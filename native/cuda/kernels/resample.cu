// Half and double size: y = the mean of 2x2 squares of x, or each value of x four times, whichever
// y's size says.
//
// Shapes: any, NHWC. An odd last row or column of x is left out of the halving.
//
// Why it is fast enough: DDPM's resampling moves each value once, neighbours on neighbours.

#include "cuda/op.h"

namespace deepcache::cuda {
namespace {

constexpr int kThreads = 256;

struct ResampleArgs {
  View y, x;
  int samples = 0, in_h = 0, in_w = 0, out_h = 0, out_w = 0, channels = 0;
};

template <typename T>
__global__ void __launch_bounds__(kThreads)
    resample_kernel(const __grid_constant__ ResampleArgs args) {
  follow_previous_grid();
  const size_t count = size_t(args.samples) * args.out_h * args.out_w * args.channels;
  const bool smaller = args.out_h < args.in_h || args.out_w < args.in_w;
  const size_t line = size_t(args.in_w) * args.channels;
  for (size_t i = size_t(blockIdx.x) * kThreads + threadIdx.x; i < count;
       i += size_t(gridDim.x) * kThreads) {
    const size_t pixel = i / args.channels, c = i - pixel * args.channels;
    const int x = int(pixel % args.out_w), y = int(pixel / args.out_w % args.out_h);
    const size_t image = pixel / args.out_w / args.out_h * args.in_h * line + c;
    if (!smaller) {
      store<T>(args.y, i, load<T>(args.x, image + y / 2 * line + size_t(x / 2) * args.channels));
      continue;
    }
    const size_t square = image + size_t(2 * y) * line + size_t(2 * x) * args.channels;
    const float sum = load<T>(args.x, square) + load<T>(args.x, square + args.channels) +
                      load<T>(args.x, square + line) +
                      load<T>(args.x, square + line + args.channels);
    store<T>(args.y, i, sum * 0.25f);
  }
}

template <typename T>
void launch_resample(const ResampleArgs& args, Stream stream) {
  const size_t count = size_t(args.samples) * args.out_h * args.out_w * args.channels;
  gpu::launch(resample_kernel<T>, dim3(blocks_for(count, kThreads)), dim3(kThreads), 0, stream,
              args);
}

ResampleArgs resample_args(const Resample& op, const OpContext& context) {
  const Shape &x = op.x.shape, &y = op.y.shape;
  return {context.operands.view(op.y), context.operands.view(op.x), x.n, x.h, x.w, y.h, y.w, x.c};
}

}  // namespace

std::unique_ptr<DeviceOp> make_op(const Resample& op, const OpContext& context) {
  return make_kernel_op(context, resample_args(op, context), launch_resample<Half>,
                        launch_resample<Bfloat16>, "resample");
}

}  // namespace deepcache::cuda

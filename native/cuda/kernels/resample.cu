// Other sizes: y = the mean of 2x2 squares of x, each value of x r x r times, or pixels as channels
// and channels as pixels (runtime/ops/resample.h).
//
// Shapes: any, NHWC. An odd last row or column of x is left out of the halving, or stands for
// itself where the half is rounded up.
//
// Why it is fast enough: DDPM's resampling moves each value once, neighbours on neighbours.

#include "cuda/op.h"

namespace deepcache::cuda {
namespace {

constexpr int kThreads = 256;

struct ResampleArgs {
  View y, x;
  int samples = 0, in_h = 0, in_w = 0, out_h = 0, out_w = 0;
  int channels = 0, in_channels = 0, factor = 2;
  Resample::Mode mode = Resample::Mode::mean;
};

template <typename T>
__global__ void __launch_bounds__(kThreads)
    resample_kernel(const __grid_constant__ ResampleArgs args) {
  follow_previous_grid();
  const size_t count = size_t(args.samples) * args.out_h * args.out_w * args.channels;
  const int r = args.factor, in_channels = args.in_channels;
  const size_t line = size_t(args.in_w) * in_channels;
  for (size_t i = size_t(blockIdx.x) * kThreads + threadIdx.x; i < count;
       i += size_t(gridDim.x) * kThreads) {
    const size_t pixel = i / args.channels, c = i - pixel * args.channels;
    const int x = int(pixel % args.out_w), y = int(pixel / args.out_w % args.out_h);
    const size_t image = pixel / args.out_w / args.out_h * args.in_h * line;
    if (args.mode == Resample::Mode::repeat || args.mode == Resample::Mode::shuffle) {
      const size_t channel =
          args.mode == Resample::Mode::repeat ? c : c * r * r + size_t(y % r * r + x % r);
      store<T>(args.y, i,
               load<T>(args.x, image + y / r * line + size_t(x / r) * in_channels + channel));
      continue;
    }
    const size_t square = image + size_t(r * y) * line + size_t(r * x) * in_channels;
    if (args.mode == Resample::Mode::unshuffle) {
      const int k = int(c % (r * r));
      store<T>(args.y, i,
               load<T>(args.x, square + k / r * line + size_t(k % r) * in_channels + c / (r * r)));
      continue;
    }
    const size_t first = square + c;
    // Beyond the edge stands the edge.
    const size_t right = 2 * x + 1 < args.in_w ? in_channels : 0;
    const size_t below = 2 * y + 1 < args.in_h ? line : 0;
    const float sum = load<T>(args.x, first) + load<T>(args.x, first + right) +
                      load<T>(args.x, first + below) + load<T>(args.x, first + below + right);
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
  return {context.operands.view(op.y),
          context.operands.view(op.x),
          x.n,
          x.h,
          x.w,
          y.h,
          y.w,
          y.c,
          x.c,
          op.factor(),
          op.mode()};
}

}  // namespace

std::unique_ptr<DeviceOp> make_op(const Resample& op, const OpContext& context) {
  return make_kernel_op(context, resample_args(op, context), launch_resample<Half>,
                        launch_resample<Bfloat16>, "resample");
}

}  // namespace deepcache::cuda

// Latents with a blurred clean estimate, where pixels got much attention: see ops/masked_blur.h.
//
// Shapes: any. One value per thread and turn, neighbours on neighbours. A masked value takes 81
// taps of the estimate, which is formed from two values each time.
//
// Why it is fast enough: it works on latents, which have a few channels and fit the L1 cache; a
// pass of a U-Net follows.

#include "cuda/op.h"

namespace deepcache::cuda {
namespace {

constexpr int kThreads = 256;

struct MaskedBlurArgs {
  View y, x, x2, mass, factors;
  size_t count = 0;
  int height = 0, width = 0;
  int channels = 0, blurred = 0;  // of x; of x2
  int mass_height = 0, mass_width = 0, heads = 0;
  float taps[MaskedBlur::kTaps] = {};
};

DEVICE int reflected(int i, int size) {
  if (size == 1) return 0;
  const int period = 2 * (size - 1);
  i = (i % period + period) % period;
  return i < period - i ? i : period - i;
}

template <typename T>
DEVICE bool is_masked(const MaskedBlurArgs& a, size_t sample, int row, int column) {
  const size_t at = size_t(row) * a.mass_height / a.height;
  const size_t across = size_t(column) * a.mass_width / a.width;
  const size_t first = ((sample * a.mass_height + at) * a.mass_width + across) * a.heads;
  float sum = 0;
  for (int head = 0; head < a.heads; head++) sum += load<T>(a.mass, first + head);
  return sum > float(a.heads);
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    masked_blur_kernel(const __grid_constant__ MaskedBlurArgs args) {
  follow_previous_grid();
  const size_t pixels = size_t(args.height) * args.width;
  for (size_t i = size_t(blockIdx.x) * kThreads + threadIdx.x; i < args.count;
       i += size_t(gridDim.x) * kThreads) {
    const size_t pixel = i / args.channels, sample = pixel / pixels;
    const int channel = int(i - pixel * args.channels);
    const int place = int(pixel - sample * pixels);
    const int row = place / args.width, column = place - row * args.width;
    float v = load<T>(args.x, i);
    if (channel < args.blurred && is_masked<T>(args, sample, row, column)) {
      const float by_x = load<T>(args.factors, 3 * sample);
      const float by_x2 = load<T>(args.factors, 3 * sample + 1);
      const auto estimate = [&](int at, int across) {
        const size_t p = sample * pixels + size_t(at) * args.width + across;
        return by_x * load<T>(args.x, p * args.channels + channel) +
               by_x2 * load<T>(args.x2, p * args.blurred + channel);
      };
      float sum = 0;
      for (int j = 0; j < MaskedBlur::kTaps; j++) {
        const int at = reflected(row + j - MaskedBlur::kReach, args.height);
        float part = 0;
        for (int k = 0; k < MaskedBlur::kTaps; k++)
          part +=
              args.taps[k] * estimate(at, reflected(column + k - MaskedBlur::kReach, args.width));
        sum += args.taps[j] * part;
      }
      v += load<T>(args.factors, 3 * sample + 2) * (sum - estimate(row, column));
    }
    store<T>(args.y, i, v);
  }
}

template <typename T>
void launch_masked_blur(const MaskedBlurArgs& args, Stream stream) {
  gpu::launch(masked_blur_kernel<T>, dim3(blocks_for(args.count, kThreads)), dim3(kThreads), 0,
              stream, args);
}

MaskedBlurArgs masked_blur_args(const MaskedBlur& op, const OpContext& context) {
  MaskedBlurArgs a;
  a.y = context.operands.view(op.y);
  a.x = context.operands.view(op.x);
  a.x2 = context.operands.view(op.x2);
  a.mass = context.operands.view(op.mass);
  a.factors = context.operands.view(op.factors);
  a.count = op.x.shape.count();
  a.height = op.x.shape.h;
  a.width = op.x.shape.w;
  a.channels = op.x.shape.c;
  a.blurred = op.x2.shape.c;
  a.mass_height = op.mass.shape.h;
  a.mass_width = op.mass.shape.w;
  a.heads = op.mass.shape.c;
  const auto taps = MaskedBlur::taps();
  for (int i = 0; i < MaskedBlur::kTaps; i++) a.taps[i] = taps[size_t(i)];
  return a;
}

}  // namespace

std::unique_ptr<DeviceOp> make_op(const MaskedBlur& op, const OpContext& context) {
  return make_kernel_op(context, masked_blur_args(op, context), launch_masked_blur<Half>,
                        launch_masked_blur<Bfloat16>, "masked blur");
}

}  // namespace deepcache::cuda

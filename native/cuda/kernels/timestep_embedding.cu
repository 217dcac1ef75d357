// y[i] = sin and cos of x[i] * exp(-ln(10000) * j / (dim / 2 - shift)), or of 2 pi x[i] *
// frequencies[j].
//
// Timesteps are fp32 and up to 1000, so angles reach 1000 radians: sinf and cosf with full argument
// reduction, not the fast intrinsics, which would be wrong by 1e-4 and more there.
//
// Why it is fast enough: it runs once per run, never in the denoising loop.

#include "cuda/op.h"

namespace deepcache::cuda {
namespace {

constexpr int kThreads = 256;

struct TimestepArgs {
  View y, x;
  int count = 0, dim = 0;
  bool flip_sin_to_cos = true;
  float freq_shift = 0;
  const float* frequencies = nullptr;
};

DEVICE float angle_of(const TimestepArgs& args, float x, int j) {
  if (args.frequencies) return x * args.frequencies[j] * 2 * 3.14159274f;
  const float exponent = -9.210340371976184f * float(j) / (float(args.dim / 2) - args.freq_shift);
  return x * expf(exponent);
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    timestep_kernel(const __grid_constant__ TimestepArgs args) {
  follow_previous_grid();
  const int half = args.dim / 2, each = half + args.dim % 2;
  const int count = args.count * each;
  for (int i = int(blockIdx.x) * kThreads + int(threadIdx.x); i < count;
       i += int(gridDim.x) * kThreads) {
    const int n = i / each, j = i % each;
    const size_t y = size_t(n) * args.dim;
    if (j == half) {  // an odd width ends with a zero
      store<T>(args.y, y + args.dim - 1, 0);
      continue;
    }
    const float angle = angle_of(args, load<T>(args.x, size_t(n)), j);
    store<T>(args.y, y + j, args.flip_sin_to_cos ? cosf(angle) : sinf(angle));
    store<T>(args.y, y + half + j, args.flip_sin_to_cos ? sinf(angle) : cosf(angle));
  }
}

template <typename T>
void launch_timestep_embedding(const TimestepArgs& args, Stream stream) {
  gpu::launch(timestep_kernel<T>, dim3(blocks_for(size_t(args.count) * args.dim, kThreads)),
              dim3(kThreads), 0, stream, args);
}

TimestepArgs timestep_args(const TimestepEmbedding& op, const OpContext& context) {
  return {context.operands.view(op.y),
          context.operands.view(op.x),
          int(op.x.shape.count()),
          op.dim,
          op.flip_sin_to_cos,
          op.freq_shift,
          context.operands.vector(op.frequencies)};
}

}  // namespace

std::unique_ptr<DeviceOp> make_op(const TimestepEmbedding& op, const OpContext& context) {
  return make_kernel_op(context, timestep_args(op, context), launch_timestep_embedding<Half>,
                        launch_timestep_embedding<Bfloat16>, "timestep embedding");
}

}  // namespace deepcache::cuda

// Gathers of tokens, and the sinusoids of timesteps.
//
//   embedding           y[i] = table[ids[i]] + positions[i % length]     ids i32, tables of type T
//   pick token          y[n] = x[n][index[n]]                            index i32
//   timestep embedding  y[i] = sin and cos of x[i] * exp(-ln(10000) * j / (dim / 2 - shift))
//
// Shapes: any. An id or index outside of its table reads row 0 and sets *fault, which the host
// turns into an error when it synchronises: a kernel cannot throw, and nothing outside may be read.
//
// Timesteps are fp32 and up to 1000, so angles reach 1000 radians: sinf and cosf with full argument
// reduction, not the fast intrinsics, which would be wrong by 1e-4 and more there.
//
// Why it is fast enough: they run once per prompt or once per run, never in the denoising loop; one
// thread per value, neighbours on neighbours, is all they need.

#include "cuda/kernels/simple.h"

namespace deepcache::cuda {
namespace {

constexpr int kThreads = 256;

template <typename T>
__global__ void __launch_bounds__(kThreads)
    embedding_kernel(const __grid_constant__ EmbeddingArgs args) {
  follow_previous_grid();
  const size_t count = size_t(args.count) * args.width;
  const T* const positions = static_cast<const T*>(args.positions);
  for (size_t i = size_t(blockIdx.x) * kThreads + threadIdx.x; i < count;
       i += size_t(gridDim.x) * kThreads) {
    const int token = int(i / args.width), c = int(i % args.width);
    int id = args.ids[token];
    if (unsigned(id) >= unsigned(args.vocabulary)) {
      atomicMax(args.fault, kBadToken);
      id = 0;
    }
    float v = load<T>(args.table, size_t(id) * args.width + c);
    if (positions) v += Number<T>::widen(positions[size_t(token % args.length) * args.width + c]);
    store<T>(args.y, i, v);
  }
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
    const float exponent = -9.210340371976184f * float(j) / (float(half) - args.freq_shift);
    const float angle = load<T>(args.x, size_t(n)) * expf(exponent);
    store<T>(args.y, y + j, args.flip_sin_to_cos ? cosf(angle) : sinf(angle));
    store<T>(args.y, y + half + j, args.flip_sin_to_cos ? sinf(angle) : cosf(angle));
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    pick_token_kernel(const __grid_constant__ PickTokenArgs args) {
  follow_previous_grid();
  const int count = args.samples * args.width;
  for (int i = int(blockIdx.x) * kThreads + int(threadIdx.x); i < count;
       i += int(gridDim.x) * kThreads) {
    const int n = i / args.width, c = i % args.width;
    int index = args.index[n];
    if (unsigned(index) >= unsigned(args.length)) {
      atomicMax(args.fault, kBadIndex);
      index = 0;
    }
    store<T>(args.y, size_t(i),
             load<T>(args.x, (size_t(n) * args.length + index) * args.width + c));
  }
}

}  // namespace

template <typename T>
void launch_embedding(const EmbeddingArgs& args, Stream stream) {
  gpu::launch(embedding_kernel<T>, dim3(blocks_for(size_t(args.count) * args.width, kThreads)),
              dim3(kThreads), 0, stream, args);
}

template <typename T>
void launch_timestep_embedding(const TimestepArgs& args, Stream stream) {
  gpu::launch(timestep_kernel<T>, dim3(blocks_for(size_t(args.count) * args.dim, kThreads)),
              dim3(kThreads), 0, stream, args);
}

template <typename T>
void launch_pick_token(const PickTokenArgs& args, Stream stream) {
  gpu::launch(pick_token_kernel<T>, dim3(blocks_for(size_t(args.samples) * args.width, kThreads)),
              dim3(kThreads), 0, stream, args);
}

template void launch_embedding<Half>(const EmbeddingArgs&, Stream);
template void launch_embedding<Bfloat16>(const EmbeddingArgs&, Stream);
template void launch_timestep_embedding<Half>(const TimestepArgs&, Stream);
template void launch_timestep_embedding<Bfloat16>(const TimestepArgs&, Stream);
template void launch_pick_token<Half>(const PickTokenArgs&, Stream);
template void launch_pick_token<Bfloat16>(const PickTokenArgs&, Stream);

}  // namespace deepcache::cuda

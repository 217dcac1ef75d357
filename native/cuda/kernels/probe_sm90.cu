// Whether wgmma multiplies a transposed operand with other than a multiple of 64 columns. In the
// 128-byte swizzle a row of shared memory holds 64 columns; what the instruction does with a part
// of them is not documented, and an attention that relies on it saves up to a quarter of its
// products. So the GPU multiplies matrices whose products are known, at the widths of heads.

#include <algorithm>
#include <iterator>

#include "cuda/kernels/probe.h"

namespace deepcache::cuda {
namespace {

constexpr int kThreads = 128, kDepth = 16, kPanels = 3;
constexpr int kRowBytes = 128, kPanelBytes = kDepth * kRowBytes;

// All different, and fp16 holds them.
[[maybe_unused]] DEVICE float value_at(int k, int column) {
  return float(k * kPanels * 64 + column - 1500);
}

// Multiplies rows that select one k each.
template <int kColumns>
DEVICE bool selects_rows(const unsigned char* values) {
  const int lane = int(threadIdx.x) % 32, row = lane / 4, k = lane % 4 * 2;
  const auto pair = [](int selected, int at) {
    return Number<Half>::pack(selected == at ? 1.0f : 0.0f, selected == at + 1 ? 1.0f : 0.0f);
  };
  const uint32_t a[4] = {pair(row, k), pair(row + 8, k), pair(row, k + 8), pair(row + 8, k + 8)};
  float d[kColumns / 2] = {};
  wgmma_pin(d);
  wgmma_fence();
  wgmma<Half, kColumns, 1>(d, a, wgmma_descriptor(values, kPanelBytes, 1024), false);
  wgmma_commit();
  wgmma_wait<0>();
  wgmma_pin(d);
  bool right = true;
#pragma unroll
  for (int i = 0; i < kColumns / 2; i++)
    right &= d[i] == value_at(row + i / 2 % 2 * 8, i / 4 * 8 + k + i % 2);
  return right;
}

__global__ void __launch_bounds__(kThreads) odd_transposed_kernel(int* right) {
  wait_for_previous_grid();
#if DEEPCACHE_SM90A
  DYNAMIC_SHARED(values);
  for (int i = int(threadIdx.x); i < kPanels * kDepth * 32; i += kThreads) {
    const int panel = i / (kDepth * 32), k = i / 32 % kDepth, column = i % 32 * 2;
    unsigned char* const to =
        values + panel * kPanelBytes + k * kRowBytes + (column / 8 ^ k % 8) * 16 + column % 8 * 2;
    *reinterpret_cast<uint32_t*>(to) =
        Number<Half>::pack(value_at(k, panel * 64 + column), value_at(k, panel * 64 + column + 1));
  }
  fence_async_proxy();
  __syncthreads();
  const bool narrow = selects_rows<40>(values), middle = selects_rows<80>(values);
  right[threadIdx.x] = selects_rows<160>(values) && middle && narrow;
#endif
}

}  // namespace

void probe_odd_transposed(gpu::Properties& properties, Stream stream) {
  int right[kThreads] = {};
  const gpu::Memory memory(sizeof right);
  gpu::launch(odd_transposed_kernel, dim3(1), dim3(kThreads), kPanels * kPanelBytes, stream,
              reinterpret_cast<int*>(memory.data()));
  gpu::download(right, memory.data(), sizeof right, stream);
  properties.odd_transposed_v =
      std::all_of(std::begin(right), std::end(right), [](int one) { return one == 1; });
}

}  // namespace deepcache::cuda

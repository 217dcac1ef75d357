// How much attention each pixel gets: see ops/attention_mass.h.
//
// Shapes: any. Two kernels of one form: a block has 32 rows and goes through all columns, 32 at a
// time, whose scores it sums up over slices of 32 channels in shared memory. In the first kernel
// rows are queries and columns keys: it leaves the logarithm of each query's sum of exponentials in
// the workspace. In the second one rows are keys and columns queries, and what is added up are
// probabilities. No matrix of scores is stored.
//
// Why it is fast enough: it runs once in a full call, on the first transformer block of the mid
// block, whose pixels are few: for SDXL at 1024x1024 1.3 G multiply-adds in each kernel, a
// two-thousandth of the call's. Sums are in a fixed order: the same input gives the same bits.

#include <memory>

#include "cuda/op.h"
#include "cuda/workspace.h"

namespace deepcache::cuda {
namespace {

constexpr int kTile = 32;                     // rows, columns, channels
constexpr int kThreads = 256;                 // a warp for
constexpr int kRows = kTile * 32 / kThreads;  // rows of a thread, kThreads / 32 apart
constexpr int kWarps = kThreads / 32;
constexpr int kStride = kTile + 1;

// Channels of a head: pixel i of sample n is row n * pixels + i of the tensor.
struct MassRows {
  View view;
  int width = 0, offset = 0;
};

struct AttentionMassArgs {
  View y;
  MassRows q, k;
  int pixels = 0, heads = 0, head_width = 0, samples = 0;
  float scale = 1;        // times log2(e)
  float* sums = nullptr;  // [samples, heads, pixels]: binary logarithms
};

template <typename T>
DEVICE void load_tile(const AttentionMassArgs& a, const MassRows& rows, int sample, int head,
                      int first, int channel, float* tile) {
  for (int i = int(threadIdx.x); i < kTile * kTile; i += kThreads) {
    const int row = i / kTile, d = i % kTile;
    const bool inside = first + row < a.pixels && channel + d < a.head_width;
    const size_t at = (size_t(sample) * a.pixels + first + row) * rows.width + rows.offset +
                      head * a.head_width + channel + d;
    tile[row * kStride + d] = inside ? load<T>(rows.view, at) : 0.0f;
  }
}

template <typename T, bool kMass>
__global__ void __launch_bounds__(kThreads)
    attention_mass_kernel(const __grid_constant__ AttentionMassArgs args) {
  SHARED_ARRAY(float, row_tile, kTile* kStride);
  SHARED_ARRAY(float, column_tile, kTile* kStride);
  follow_previous_grid();
  const int head = int(blockIdx.y) % args.heads, sample = int(blockIdx.y) / args.heads;
  const int first_row = int(blockIdx.x) * kTile;
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  const MassRows &rows = kMass ? args.k : args.q, &columns = kMass ? args.q : args.k;
  float* const sums = args.sums + size_t(blockIdx.y) * args.pixels;
  float top[kRows], sum[kRows];
#pragma unroll
  for (int r = 0; r < kRows; r++) top[r] = -kLargestFloat, sum[r] = 0;

  for (int first = 0; first < args.pixels; first += kTile) {
    float scores[kRows] = {};
    for (int channel = 0; channel < args.head_width; channel += kTile) {
      if (!PLANTED(94)) __syncthreads();  // the tiles before have been read
      load_tile<T>(args, rows, sample, head, first_row, channel, row_tile);
      load_tile<T>(args, columns, sample, head, first, channel, column_tile);
      __syncthreads();
#pragma unroll 8
      for (int d = 0; d < kTile; d++) {
        const float v = column_tile[lane * kStride + d];
#pragma unroll
        for (int r = 0; r < kRows; r++)
          scores[r] += v * row_tile[(warp + r * kWarps) * kStride + d];
      }
    }
    if (first + lane >= args.pixels) continue;
#pragma unroll
    for (int r = 0; r < kRows; r++) {
      const float score = args.scale * scores[r];
      if (kMass) {
        sum[r] += fast_exp2(score - sums[first + lane]);
      } else {
        const float higher = fmaxf(top[r], score);
        sum[r] = sum[r] * fast_exp2(top[r] - higher) + fast_exp2(score - higher);
        top[r] = higher;
      }
    }
  }

#pragma unroll
  for (int r = 0; r < kRows; r++) {
    const int row = first_row + warp + r * kWarps;
    if (kMass) {
      const float mass = warp_sum(sum[r]);
      if (lane == 0 && row < args.pixels)
        store<T>(args.y, (size_t(sample) * args.pixels + row) * args.heads + head, mass);
    } else {
      const float highest = warp_max(top[r]);
      const float all = warp_sum(sum[r] * fast_exp2(top[r] - highest));
      if (lane == 0 && row < args.pixels) sums[row] = highest + log2f(all);
    }
  }
}

template <typename T>
void launch_attention_mass(const AttentionMassArgs& args, Stream stream) {
  const dim3 grid(unsigned((args.pixels + kTile - 1) / kTile), unsigned(args.samples * args.heads));
  gpu::launch(attention_mass_kernel<T, false>, grid, dim3(kThreads), 0, stream, args);
  gpu::launch(attention_mass_kernel<T, true>, grid, dim3(kThreads), 0, stream, args);
}

class AttentionMassOp : public KernelOp<AttentionMassArgs> {
 public:
  using KernelOp::KernelOp;
  size_t workspace_bytes() const override { return layout().first.bytes(); }
  void use_workspace(void* memory) override { args_.sums = layout().second.in(memory); }

 private:
  std::pair<WorkspaceLayout, WorkspacePart<float>> layout() const {
    WorkspaceLayout layout;
    const auto part = layout.add<float>(size_t(args_.samples) * args_.heads * args_.pixels);
    return {layout, part};
  }
};

}  // namespace

std::unique_ptr<DeviceOp> make_op(const AttentionMass& op, const OpContext& context) {
  AttentionMassArgs a;
  a.y = context.operands.view(op.y);
  a.q = {context.operands.view(op.q), op.q.shape.c, op.q_offset};
  a.k = {context.operands.view(op.k), op.k.shape.c, op.k_offset};
  a.pixels = int(op.pixels());
  a.heads = op.heads;
  a.head_width = op.head_width;
  a.samples = op.y.shape.n;
  a.scale = op.scale * kLog2e;
  return std::make_unique<AttentionMassOp>(
      a, context.choose(launch_attention_mass<Half>, launch_attention_mass<Bfloat16>),
      "attention mass");
}

}  // namespace deepcache::cuda

// Attention for tensor cores of sm_80 and newer (mma.sync): y = softmax(scale * q k^T) v for each
// head of each sequence, without ever storing the scores (FlashAttention-2, Dao 2023).
//
// Shapes: any number of queries and keys, any head width up to about 1500; sequences lie anywhere
// (strides), so that temporal, cross-frame and ordinary attention, fused QKV and separate tensors
// are the same kernel. `causal` lets query i see keys 0..i. Sums and the softmax are in fp32; q, k,
// v and the probabilities enter the products as 16-bit values. fp32 inputs (a prompt's keys) are
// converted while they are read.
//
// A block of 4 warps owns 64 queries (2 warps and 32 from head width 161 on) of one head, a warp 16
// of them; k and v pass by in tiles of as many keys. Head widths are padded with zeros to a
// multiple of 16 in shared memory. From width 161 on a block makes 128 columns of y only and
// repeats the scores: the registers would not hold more. That is for few tokens; the VAE's
// attention over all pixels (width 512) is a case for attention_products.cu. From width 641 on (a
// few layers of latent diffusion have one head of up to 960) a block is one warp, so that its
// queries and keys fit small GPUs.
//
// Why it is fast: scores never leave the registers (an accumulator's layout is that of the next
// product's operand), the next keys arrive while the values are multiplied and the other way round,
// rows are padded by 16 bytes so that ldmatrix meets no bank twice, and exp is exp2 with the scale
// folded in.

#include "cuda/kernels/attention.h"
#include "cuda/op.h"

namespace deepcache::cuda {
namespace {

// kColumns: of v and y, padded to 16. kWide: several blocks share a head's columns.
template <int kColumns_, int kWarps_, bool kWide_>
struct AttentionTile {
  static constexpr int kColumns = kColumns_, kWarps = kWarps_;
  static constexpr bool kWide = kWide_;
  static constexpr int kThreads = kWarps * 32, kQueries = kWarps * 16, kKeys = kWarps * 16;
  static constexpr int kStrideV = kColumns + 8;
  static size_t shared_bytes(int head_width) {
    const size_t stride = size_t(head_width + 15) / 16 * 16 + 8;
    return (size_t(kQueries + kKeys) * stride + size_t(kKeys) * kStrideV) * 2;
  }
};

// Copies rows [first, first + kRows) of a head, columns [column, column + width) of it, to shared
// memory, zeros where there is no row and behind the head's last column up to `padded`.
template <typename T, int kThreads, int kRows>
DEVICE void fetch_rows(T* to, int stride, int padded, const AttentionRows& rows, long long begin,
                       int first, int count, int column, int head_width) {
  const int parts = padded / 8;
  for (int item = threadIdx.x; item < kRows * parts; item += kThreads) {
    const int r = item / parts, c = item % parts * 8;
    T* const target = to + r * stride + c;
    const bool inside = first + r < count;
    const long long from = begin + (inside ? first + r : 0) * rows.step + column + c;
    if (rows.eights) {
      const bool valid = inside && column + c < head_width;
      if (!rows.view.fp32) {
        const T* const data = static_cast<const T*>(rows.view.data);
        cp_async16(target, valid ? data + from : data, valid);
      } else {
        const uint4 zeros = {0, 0, 0, 0};
        *reinterpret_cast<uint4*>(target) = valid ? load_eight<T>(rows.view, size_t(from)) : zeros;
      }
    } else {
      float v[8];
#pragma unroll
      for (int i = 0; i < 8; i++)
        v[i] = inside && column + c + i < head_width ? load<T>(rows.view, size_t(from + i)) : 0.0f;
      const uint4 packed = {Number<T>::pack(v[0], v[1]), Number<T>::pack(v[2], v[3]),
                            Number<T>::pack(v[4], v[5]), Number<T>::pack(v[6], v[7])};
      *reinterpret_cast<uint4*>(target) = packed;
    }
  }
}

template <typename T, typename Tile>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kColumns <= 48 ? 4 : 3)
    attention_kernel(const __grid_constant__ AttentionArgs args) {
  follow_previous_grid();
  constexpr int kKeys = Tile::kKeys, kColumns = Tile::kColumns, kStrideV = Tile::kStrideV;
  DYNAMIC_SHARED(shared);
  const int padded = (args.head_width + 15) / 16 * 16, stride = padded + 8;
  T* const shared_q = reinterpret_cast<T*>(shared);
  T* const shared_k = shared_q + Tile::kQueries * stride;
  T* const shared_v = shared_k + kKeys * stride;

  const int slices = Tile::kWide ? (args.head_width + kColumns - 1) / kColumns : 1;
  const int blocks = (args.queries + Tile::kQueries - 1) / Tile::kQueries;
  int unit = int(blockIdx.x);
  const int slice = unit % slices, first_query = unit / slices % blocks * Tile::kQueries;
  unit /= slices * blocks;
  const int head = unit % args.heads, sequence = unit / args.heads;
  const int first_column = slice * kColumns;
  const int outer = sequence / args.inner, inner = sequence % args.inner;
  const auto begin = [&](const AttentionRows& rows) {
    return outer * rows.outer + inner * rows.inner + rows.offset + head * args.head_width;
  };
  const long long begin_k = begin(args.k), begin_v = begin(args.v);
  const int lane = threadIdx.x & 31, warp = threadIdx.x / 32;
  const int last_query = first_query + Tile::kQueries;
  const int keys = args.causal && last_query < args.keys ? last_query : args.keys;
  const int tiles = (keys + kKeys - 1) / kKeys;

  fetch_rows<T, Tile::kThreads, Tile::kQueries>(shared_q, stride, padded, args.q, begin(args.q),
                                                first_query, args.queries, 0, args.head_width);
  fetch_rows<T, Tile::kThreads, kKeys>(shared_k, stride, padded, args.k, begin_k, 0, args.keys, 0,
                                       args.head_width);
  cp_async_commit();

  float sums[kColumns / 8][4] = {};
  float top[2] = {kMasked, kMasked}, total[2] = {0, 0};  // of rows lane / 4 and lane / 4 + 8
  const float factor = args.scale * kLog2e;
  for (int tile = 0; tile < tiles; tile++) {
    cp_async_wait<0>();
    if (!PLANTED(6)) __syncthreads();  // the keys are there, all have used the previous values
    fetch_rows<T, Tile::kThreads, kKeys>(shared_v, kStrideV, kColumns, args.v, begin_v,
                                         tile * kKeys, args.keys, first_column, args.head_width);
    cp_async_commit();

    float scores[kKeys / 8][4] = {};
    for (int step = 0; step < padded / 16; step++) {
      uint32_t q[4];
      ldmatrix_x4(q, shared_q + (warp * 16 + (lane & 15)) * stride + step * 16 + (lane >> 4) * 8);
#pragma unroll
      for (int j = 0; j < kKeys / 16; j++) {
        uint32_t k[4];
        ldmatrix_x4(k, shared_k + (j * 16 + (lane & 7) + (lane >> 4) * 8) * stride + step * 16 +
                           (lane >> 3 & 1) * 8);
        const uint32_t low[2] = {k[0], k[1]}, high[2] = {k[2], k[3]};
        mma_16816<T>(scores[2 * j], q, low);
        mma_16816<T>(scores[2 * j + 1], q, high);
      }
    }

    const bool edge = !PLANTED(9) && ((tile + 1) * kKeys > keys || args.causal);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int query = first_query + warp * 16 + lane / 4 + half * 8;
      const int limit = args.causal && query + 1 < args.keys ? query + 1 : args.keys;
      float most = top[half];
#pragma unroll
      for (int j = 0; j < kKeys / 8; j++)
#pragma unroll
        for (int i = 0; i < 2; i++) {
          float& score = scores[j][2 * half + i];
          score *= factor;
          if (edge && tile * kKeys + j * 8 + lane % 4 * 2 + i >= limit) score = kMasked;
          most = fmaxf(most, score);
        }
      most = quad_max(most);
      const float shrink = exp2f(top[half] - most);
      top[half] = most;
      float sum = 0;
#pragma unroll
      for (int j = 0; j < kKeys / 8; j++)
#pragma unroll
        for (int i = 0; i < 2; i++) {
          float& score = scores[j][2 * half + i];
          score = exp2f(score - most);
          sum += score;
        }
      total[half] = total[half] * shrink + sum;
#pragma unroll
      for (int j = 0; j < kColumns / 8; j++) {
        sums[j][2 * half] *= shrink;
        sums[j][2 * half + 1] *= shrink;
      }
    }

    if (!PLANTED(7)) cp_async_wait<0>();
    if (!PLANTED(8)) __syncthreads();  // the values are there, and all have multiplied the keys
    if (tile + 1 < tiles)
      fetch_rows<T, Tile::kThreads, kKeys>(shared_k, stride, padded, args.k, begin_k,
                                           (tile + 1) * kKeys, args.keys, 0, args.head_width);
    cp_async_commit();
#pragma unroll
    for (int step = 0; step < kKeys / 16; step++) {
      const uint32_t p[4] = {Number<T>::pack(scores[2 * step][0], scores[2 * step][1]),
                             Number<T>::pack(scores[2 * step][2], scores[2 * step][3]),
                             Number<T>::pack(scores[2 * step + 1][0], scores[2 * step + 1][1]),
                             Number<T>::pack(scores[2 * step + 1][2], scores[2 * step + 1][3])};
#pragma unroll
      for (int j = 0; j < kColumns / 16; j++) {
        uint32_t v[4];
        ldmatrix_x4_transposed(
            v, shared_v + (step * 16 + (lane & 15)) * kStrideV + j * 16 + (lane >> 4) * 8);
        const uint32_t low[2] = {v[0], v[1]}, high[2] = {v[2], v[3]};
        mma_16816<T>(sums[2 * j], p, low);
        mma_16816<T>(sums[2 * j + 1], p, high);
      }
    }
  }
  cp_async_wait<0>();

  const long long begin_y = begin(args.y);
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const float inverse = 1.0f / quad_sum(total[half]);
    const int query = first_query + warp * 16 + lane / 4 + half * 8;
    if (query >= args.queries) continue;
#pragma unroll
    for (int j = 0; j < kColumns / 8; j++) {
      const int column = first_column + j * 8 + lane % 4 * 2;
      if (column >= args.head_width) continue;
      const size_t at = size_t(begin_y + query * args.y.step + column);
      const float v0 = sums[j][2 * half] * inverse, v1 = sums[j][2 * half + 1] * inverse;
      if (args.y.eights) {
        store_pair<T>(args.y.view, at, {v0, v1});
      } else {
        store<T>(args.y.view, at, v0);
        if (column + 1 < args.head_width) store<T>(args.y.view, at + 1, v1);
      }
    }
  }
}

template <int kColumns>
using Narrow = AttentionTile<kColumns, 4, false>;
using Wide = AttentionTile<128, 2, true>;
using Widest = AttentionTile<128, 1, true>;

// Calls `visit` with the tile for a head width.
template <typename Visit>
auto with_tile(int head_width, const Visit& visit) {
  if (head_width <= 32) return visit(Narrow<32>());
  if (head_width <= 48) return visit(Narrow<48>());
  if (head_width <= 64) return visit(Narrow<64>());
  if (head_width <= 80) return visit(Narrow<80>());
  if (head_width <= 128) return visit(Narrow<128>());
  if (head_width <= 160) return visit(Narrow<160>());
  if (head_width <= 640) return visit(Wide());
  return visit(Widest());
}

AttentionKernelInfo attention_kernel_info(int head_width) {
  return with_tile(head_width, [&](auto tile) {
    using Tile = decltype(tile);
    return AttentionKernelInfo{Tile::kQueries, Tile::kKeys, Tile::kColumns,
                               Tile::shared_bytes(head_width)};
  });
}

template <typename T>
void launch_attention(const AttentionArgs& args, Stream stream) {
  if (args.sm90) return launch_attention_sm90<T>(args, stream);
  with_tile(args.head_width, [&](auto tile) {
    using Tile = decltype(tile);
    const unsigned blocks = unsigned((args.queries + Tile::kQueries - 1) / Tile::kQueries);
    const unsigned slices =
        Tile::kWide ? unsigned((args.head_width + Tile::kColumns - 1) / Tile::kColumns) : 1;
    const unsigned units = unsigned(args.outer) * args.inner * args.heads;
    gpu::launch(attention_kernel<T, Tile>, dim3(blocks * slices * units), dim3(Tile::kThreads),
                Tile::shared_bytes(args.head_width), stream, args);
  });
}

std::string describe(const AttentionArgs& args) {
  const AttentionKernelInfo info =
      args.sm90 ? attention_sm90_info(args) : attention_kernel_info(args.head_width);
  std::string text = args.sm90 ? "flash attention sm_90a, " : "flash attention ";
  text += std::to_string(info.queries) + " queries, ";
  if (args.sm90) text += std::to_string(info.keys) + " keys, ";
  return text + std::to_string(info.columns) + " columns";
}

}  // namespace

std::unique_ptr<DeviceOp> make_attention(const AttentionArgs& args, const OpContext& context) {
  if (auto products = make_attention_products(args, context)) return products;
  if (!args.sm90 &&
      attention_kernel_info(args.head_width).shared_bytes > context.gpu.properties.shared_bytes)
    throw Error(ErrorCode::kUnsupported, "attention: heads of " + std::to_string(args.head_width) +
                                             " channels do not fit the GPU");
  return make_kernel_op(context, args, launch_attention<Half>, launch_attention<Bfloat16>,
                        describe(args));
}

}  // namespace deepcache::cuda

// Attention of wide heads over many tokens as two products and a softmax: the VAE's single layer,
// whose 512 channels do not fit the registers of the kernels that keep scores there.
//
// Shapes: heads of more than 160 channels without a mask, whose sequences are rows at equal
// distances. Each head of each sequence is packed first: queries and keys as dense rows, values
// transposed, so that both products have their k innermost; the rows of those that serve as a
// weight lie in its order. Then a part of the queries after the
// other goes through
//
//   scores = q k^T             fp32, sums that are not finished (matmul.h)
//   p = gain * softmax(scores) 16 bits; statistics in fp32
//   y = p v / gain
//
// The gain keeps the probabilities of many keys among fp16's normal numbers.
//
// Why it is fast: the products are the library's best kernels, at any number of columns, and the
// softmax reads its rows once and keeps them in registers. The parts are as large as the L2 cache
// holds, so that scores hardly see device memory, and the workspace stays small.

#include <algorithm>
#include <vector>

#include "cuda/kernels/attention.h"
#include "cuda/op.h"
#include "cuda/product.h"
#include "cuda/workspace.h"

namespace deepcache::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;
constexpr int kSide = 64;  // of the tiles that are packed

// q, k and v of one head.
struct PackArgs {
  View from[3];
  size_t begin[3];
  long long step[3];
  int tokens[3], padded_tokens[3];
  int width, padded_width, value_rows;
  void* to[3];
};

// A tile of one of the three; zeros where there is no token or channel.
template <typename T>
__global__ void __launch_bounds__(kThreads) pack_kernel(const __grid_constant__ PackArgs args) {
  follow_previous_grid();
  SHARED_ARRAY(T, tile, kSide * (kSide + 2));
  const int which = int(blockIdx.z), inner = int(threadIdx.x) % kSide;
  const int first_token = int(blockIdx.x) * kSide, first_channel = int(blockIdx.y) * kSide;
  const int padded_tokens = args.padded_tokens[which];
  const bool transposed = which == 2;
  T* const to = static_cast<T*>(args.to[which]);
  for (int outer = int(threadIdx.x) / kSide; outer < kSide; outer += kThreads / kSide) {
    const int token = first_token + outer, channel = first_channel + inner;
    T value = Number<T>::narrow(0);
    if (token < args.tokens[which] && channel < args.width)
      value = Number<T>::narrow(load<T>(
          args.from[which], args.begin[which] + size_t(token) * args.step[which] + channel));
    if (transposed)
      tile[inner * (kSide + 2) + outer] = value;
    else if (token < padded_tokens && channel < args.padded_width)
      to[size_t(which == 1 ? packed_row(token) : token) * args.padded_width + channel] = value;
  }
  if (!transposed) return;
  if (!PLANTED(18)) __syncthreads();
  for (int outer = int(threadIdx.x) / kSide; outer < kSide; outer += kThreads / kSide) {
    const int channel = first_channel + outer, token = first_token + inner;
    if (channel < args.value_rows && token < padded_tokens)
      to[size_t(packed_row(channel)) * padded_tokens + token] = tile[outer * (kSide + 2) + inner];
  }
}

struct SoftmaxArgs {
  const float* scores = nullptr;       // [rows][stride]
  void* probabilities = nullptr;       // T, the same
  int rows = 0, keys = 0, stride = 0;  // stride: a multiple of 8
  float factor = 1, gain = 1;
};

// What the threads have, as one value for all of them; `scratch` holds a value for each warp.
template <typename Reduce>
DEVICE float reduce_block(float v, float neutral, float* scratch, const Reduce& reduce) {
  v = reduce(v);
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = v;
  if (!PLANTED(19)) __syncthreads();
  return reduce(threadIdx.x % 32 < kWarps ? scratch[threadIdx.x % 32] : neutral);
}

// A block for each row.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    softmax_kernel(const __grid_constant__ SoftmaxArgs args) {
  follow_previous_grid();
  constexpr int kKept = 16;  // accesses of four: rows of up to 16384 keys are read once
  SHARED_ARRAY(float, scratch, 2 * kWarps);
  const int fours = args.stride / 4;
  const float4* const scores =
      reinterpret_cast<const float4*>(args.scores) + size_t(blockIdx.x) * fours;
  uint2* const probabilities = static_cast<uint2*>(args.probabilities) + size_t(blockIdx.x) * fours;
  const auto score_at = [&](int four) {
    float4 v = scores[four];
    if (four * 4 + 4 > args.keys) {
      if (four * 4 >= args.keys) v.x = kMasked;
      if (four * 4 + 1 >= args.keys) v.y = kMasked;
      if (four * 4 + 2 >= args.keys) v.z = kMasked;
      if (four * 4 + 3 >= args.keys) v.w = kMasked;
    }
    return v;
  };
  const auto larger = [](float most, const float4& v) {
    return fmaxf(fmaxf(most, fmaxf(v.x, v.y)), fmaxf(v.z, v.w));
  };
  const int behind = int(threadIdx.x) + kKept * kThreads;  // the first access that is not kept

  float4 kept[kKept];
  float most = kMasked;
#pragma unroll
  for (int i = 0; i < kKept; i++) {
    const int four = int(threadIdx.x) + i * kThreads;
    kept[i] = four < fours ? score_at(four) : float4{kMasked, kMasked, kMasked, kMasked};
  }
#pragma unroll
  for (int i = 0; i < kKept; i++) most = larger(most, kept[i]);
  for (int four = behind; four < fours; four += kThreads) most = larger(most, score_at(four));
  most = reduce_block(most, kMasked, scratch, [](float v) { return warp_max(v); });

  const float offset = most * args.factor;
  const auto power = [&](const float4& v) {
    return float4{fast_exp2(v.x * args.factor - offset), fast_exp2(v.y * args.factor - offset),
                  fast_exp2(v.z * args.factor - offset), fast_exp2(v.w * args.factor - offset)};
  };
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kKept; i++) {
    kept[i] = power(kept[i]);
    sum += (kept[i].x + kept[i].y) + (kept[i].z + kept[i].w);
  }
  for (int four = behind; four < fours; four += kThreads) {
    const float4 v = power(score_at(four));
    sum += (v.x + v.y) + (v.z + v.w);
  }
  sum = reduce_block(sum, 0, scratch + kWarps, [](float v) { return warp_sum(v); });
  const float scale = args.gain / sum;
  const auto write = [&](int four, const float4& v) {
    probabilities[four] = {Number<T>::pack(v.x * scale, v.y * scale),
                           Number<T>::pack(v.z * scale, v.w * scale)};
  };
#pragma unroll
  for (int i = 0; i < kKept; i++)
    if (const int four = int(threadIdx.x) + i * kThreads; four < fours) write(four, kept[i]);
  for (int four = behind; four < fours; four += kThreads) write(four, power(score_at(four)));
}

int parts(int whole, int part) { return (whole + part - 1) / part; }
int padded(int n) { return parts(n, 8) * 8; }

// Queries whose scores the L2 cache holds: all of today's have more for each multiprocessor.
int queries_of_part(const AttentionArgs& args, const gpu::Properties& gpu) {
  constexpr size_t kScoreBytes = 256 << 10;
  constexpr int kRows = 128;  // of the products' tiles
  const size_t row_bytes = size_t(packed_rows(args.keys)) * sizeof(float);
  const size_t rows = kScoreBytes * gpu.multiprocessors / row_bytes / kRows * kRows;
  return int(std::min<size_t>(std::max<size_t>(rows, kRows), args.queries));
}

// By estimated cycles. attention.cu makes the scores anew for every 128 columns, and reads keys and
// values for every 32 queries; here it is launches that take time.
bool are_products_faster(const AttentionArgs& args, const gpu::Properties& gpu) {
  constexpr double kTogetherRate = 360, kProductRate = 1000;  // of a multiprocessor
  constexpr double kScoreBytes = 12, kBytesRate = 25, kLaunch = 3000;
  const double scores = double(args.queries) * args.keys / gpu.multiprocessors;
  const double together = scores * args.head_width * (parts(args.head_width, 128) + 1);
  const double products = scores * args.head_width * 2;
  const int launches = 1 + 4 * parts(args.queries, queries_of_part(args, gpu));
  return products / kProductRate + scores * kScoreBytes / kBytesRate + launches * kLaunch <
         together / kTogetherRate;
}

// `rows` by `columns` rows of k values of 16 bits.
MatmulArgs product_of(const void* x, int rows, const void* weight, int columns, int k) {
  MatmulArgs a;
  MatmulSegment& s = a.segments[0];
  s.x[0].data = s.x[1].data = const_cast<void*>(x);
  s.channels[0] = s.k = s.weight_stride = k;
  s.in_w = s.limit_w = a.out_w = a.y_w = a.rows = rows;
  s.eights = s.mappable = true;
  s.weight = weight;
  a.columns = a.y_channels = columns;
  a.computed_weights = true;
  return a;
}

// Part of the queries of a head.
struct Part {
  Product scores, values;
  SoftmaxArgs softmax;
};
struct Head {
  PackArgs pack;
  std::vector<Part> parts;
};

class AttentionProducts : public DeviceOp {
 public:
  AttentionProducts(const AttentionArgs& args, const OpContext& context)
      : args_(args),
        type_(context.gpu.type),
        gpu_(context.gpu.properties),
        queries_(queries_of_part(args, gpu_)),
        keys_(packed_rows(args.keys)),
        width_(padded(args.head_width)) {
    const size_t scores = size_t(queries_) * keys_;
    q_ = layout_.add<uint16_t>(size_t(args.queries) * width_);
    k_ = layout_.add<uint16_t>(size_t(keys_) * width_);
    v_ = layout_.add<uint16_t>(size_t(packed_rows(args.head_width)) * keys_);
    scores_ = layout_.add<float>(scores);
    probabilities_ = layout_.add<uint16_t>(scores);
    size_t partials = 0;
    for (const int rows : {queries_, (args.queries - 1) % queries_ + 1}) {
      const MatmulArgs values =
          values_product(static_cast<char*>(args.y.view.data), rows, 0, 0);  // inputs lie elsewhere
      partials = std::max(partials,
                          partial_count(plan_product(values, rank_choices(values, gpu_).front())));
    }
    partials_ = layout_.add<float>(partials);
  }

  std::string kernel() const override {
    return "attention as products, " + std::to_string(queries_) + " queries at a time";
  }
  size_t workspace_bytes() const override { return layout_.bytes(); }

  void use_workspace(void* data) override {
    char* const base = static_cast<char*>(data);
    heads_.clear();
    for (int sequence = 0; sequence < args_.outer * args_.inner; sequence++)
      for (int head = 0; head < args_.heads; head++) {
        Head one{pack_args(base, sequence, head), {}};
        for (int first = 0; first < args_.queries; first += queries_)
          one.parts.push_back(part(base, first, first_value(args_.y, sequence, head)));
        heads_.push_back(std::move(one));
      }
  }

  void launch(Stream stream) const override {
    type_ == ActivationType::fp16 ? launch_as<Half>(stream) : launch_as<Bfloat16>(stream);
  }

 private:
  size_t first_value(const AttentionRows& rows, int sequence, int head) const {
    return size_t(sequence / args_.inner * rows.outer + sequence % args_.inner * rows.inner +
                  rows.offset + head * args_.head_width);
  }

  PackArgs pack_args(char* base, int sequence, int head) const {
    PackArgs pack{};
    const AttentionRows* const rows[3] = {&args_.q, &args_.k, &args_.v};
    void* const to[3] = {q_.in(base), k_.in(base), v_.in(base)};
    for (int i = 0; i < 3; i++) {
      pack.from[i] = rows[i]->view;
      pack.begin[i] = first_value(*rows[i], sequence, head);
      pack.step[i] = rows[i]->step;
      pack.tokens[i] = i == 0 ? args_.queries : args_.keys;
      pack.padded_tokens[i] = i == 0 ? args_.queries : keys_;
      pack.to[i] = to[i];
    }
    pack.width = args_.head_width;
    pack.padded_width = width_;
    pack.value_rows = packed_rows(args_.head_width);
    return pack;
  }

  // The largest power of two that neither the sum of all probabilities nor fp16 forbids.
  float gain() const {
    int keys = std::min(args_.keys, 1 << 15), gain = 1;
    while (keys >>= 1) gain *= 2;
    return float(gain);
  }

  MatmulArgs values_product(char* base, int rows, int first, size_t y_value) const {
    MatmulArgs a = product_of(probabilities_.in(base), rows, v_.in(base), args_.head_width, keys_);
    const AttentionRows& y = args_.y;
    const size_t bytes = y.view.fp32 ? 4 : 2;
    a.y = {static_cast<char*>(y.view.data) + (y_value + size_t(first) * y.step) * bytes,
           y.view.fp32};
    a.y_channels = int(y.step);
    a.wide = y.eights && !y.view.fp32;
    a.pairs = y.eights;
    a.scale = 1 / gain();
    return a;
  }

  Part part(char* base, int first, size_t y_value) const {
    const int rows = std::min(queries_, args_.queries - first);
    Part part;
    MatmulArgs scores =
        product_of(q_.in(base) + size_t(first) * width_, rows, k_.in(base), keys_, width_);
    scores.partials = scores_.in(base);
    MatmulChoice whole;
    for (const MatmulChoice& choice : rank_choices(scores, gpu_)) {
      whole = choice;
      if (choice.splits == 1) break;
    }
    part.scores = make_product(scores, whole, type_);
    part.softmax = {scores.partials, probabilities_.in(base), rows,  args_.keys,
                    keys_,           args_.scale * kLog2e,    gain()};
    const MatmulArgs values = values_product(base, rows, first, y_value);
    part.values = make_product(values, rank_choices(values, gpu_).front(), type_);
    part.values.args.partials = partials_.in(base);
    return part;
  }

  template <typename T>
  void launch_as(Stream stream) const {
    const dim3 tiles(unsigned(parts(std::max(args_.queries, keys_), kSide)),
                     unsigned(parts(width_, kSide)), 3);
    for (const Head& head : heads_) {
      gpu::launch(pack_kernel<T>, tiles, dim3(kThreads), 0, stream, head.pack);
      for (const Part& part : head.parts) {
        launch_sums<T>(part.scores, gpu_, stream);
        gpu::launch(softmax_kernel<T>, dim3(unsigned(part.softmax.rows)), dim3(kThreads), 0, stream,
                    part.softmax);
        launch_product<T>(part.values, gpu_, stream);
      }
    }
  }

  const AttentionArgs args_;
  const ActivationType type_;
  const gpu::Properties& gpu_;
  const int queries_, keys_, width_;  // of a part; padded
  WorkspaceLayout layout_;
  WorkspacePart<uint16_t> q_, k_, v_, probabilities_;
  WorkspacePart<float> scores_, partials_;
  std::vector<Head> heads_;
};

}  // namespace

std::unique_ptr<DeviceOp> make_attention_products(const AttentionArgs& args,
                                                  const OpContext& context) {
  if (args.head_width <= 160 || args.causal || !are_products_faster(args, context.gpu.properties))
    return nullptr;
  return std::make_unique<AttentionProducts>(args, context);
}

}  // namespace deepcache::cuda

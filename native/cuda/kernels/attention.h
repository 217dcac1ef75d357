#pragma once

// Attention: see attention.cu, attention_sm90.cu for Hopper, and attention_products.cu for wide
// heads.

#include <memory>

#include "cuda/kernels/common.h"

namespace deepcache::cuda {

class DeviceOp;
struct OpContext;

// What a masked score is. Finite: differences of two are 0, not NaN.
constexpr float kMasked = -1e30f;

// Rows of one of q, k, v, y: element i of sequence (outer o, inner j) begins at value
// o * outer + j * inner + i * step + offset; head h at h * head_width behind that.
struct AttentionRows {
  View view;
  long long outer = 0, inner = 0, step = 0;
  int offset = 0;
  bool eights = false;  // every head begins at 16 bytes (fp32: 32), and has a multiple of 8 values
};

// Over the four lanes that hold a row of scores.
DEVICE float quad_max(float v) {
  v = fmaxf(v, __shfl_xor_sync(kAllLanes, v, 1));
  return fmaxf(v, __shfl_xor_sync(kAllLanes, v, 2));
}
DEVICE float quad_sum(float v) {
  v += __shfl_xor_sync(kAllLanes, v, 1);
  return v + __shfl_xor_sync(kAllLanes, v, 2);
}

struct AttentionArgs {
  AttentionRows q, k, v, y;
  int queries = 0, keys = 0;
  int outer = 1, inner = 1, heads = 1, head_width = 0;
  float scale = 1;
  bool causal = false;
  bool sm90 = false;              // served by attention_sm90.cu
  int blocks = 0;                 // its most: they go from unit to unit
  bool odd_transposed_v = false;  // see gpu::Properties
};

// What a block computes, in tiles of `keys`.
struct AttentionKernelInfo {
  int queries, keys, columns;  // columns: of v and y
  size_t shared_bytes;
};

// Whether attention_sm90.cu can serve the arguments, on a GPU that runs sm_90a code.
bool can_attend_sm90(const AttentionArgs& args);
AttentionKernelInfo attention_sm90_info(const AttentionArgs& args);

template <typename T>
void launch_attention_sm90(const AttentionArgs& args, Stream stream);

std::unique_ptr<DeviceOp> make_attention(const AttentionArgs& args, const OpContext& context);

// attention_products.cu, or null where attention.cu is faster.
std::unique_ptr<DeviceOp> make_attention_products(const AttentionArgs& args,
                                                  const OpContext& context);

}  // namespace deepcache::cuda

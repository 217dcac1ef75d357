#pragma once

// From the ops of a plan to the arguments of kernels (products: conv.h).

#include "cuda/conv.h"
#include "cuda/kernels/attention.h"
#include "cuda/kernels/norm.h"
#include "cuda/kernels/simple.h"

namespace deepcache::cuda {

GroupNormArgs group_norm_args(const GroupNorm& op, const Operands& operands,
                              const gpu::Properties& gpu);
LayerNormArgs layer_norm_args(const LayerNorm& op, const Operands& operands);
AttentionArgs attention_args(const Attention& op, const Operands& operands,
                             const gpu::Properties& gpu);
ElementwiseArgs elementwise_args(const Elementwise& op, const Operands& operands);
EmbeddingArgs embedding_args(const Embedding& op, const Operands& operands, int* fault);
TimestepArgs timestep_args(const TimestepEmbedding& op, const Operands& operands);
PickTokenArgs pick_token_args(const PickToken& op, const Operands& operands, int* fault);
ResampleArgs resample_args(const Resample& op, const Operands& operands);
NearestCodeArgs nearest_code_args(const NearestCode& op, const Operands& operands);
ConcatArgs concat_args(const Concat& op, const Operands& operands);

}  // namespace deepcache::cuda

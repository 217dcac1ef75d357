#include <algorithm>

#include "cuda/op_args.h"
#include "cuda/program.h"

namespace deepcache::cuda {

DeviceProgram::DeviceProgram(Context& context, const ProgramSpec& spec)
    : context_(context),
      ops_(spec.ops, spec.ops + spec.op_count),
      tensors_(spec.tensors, spec.tensors + spec.tensor_count),
      weights_(spec.weights, spec.weights + spec.weight_count) {
  const Operands operands{tensors_.data(), weights_.data(), 0};
  is_added_.resize(ops_.size());
  for (const Op& op : ops_)
    if (op.kind == OpKind::conv && op.conv.shortcut >= 0)
      is_added_[op.conv.shortcut] =
          can_add_shortcut(op.conv, ops_[op.conv.shortcut].conv, operands);
  size_t bytes = 0;
  for (const Op& op : ops_) bytes = std::max(bytes, prepare(op, operands));
  workspace_ = gpu::Memory(bytes);
}

const Conv* DeviceProgram::shortcut(const Conv& conv) const {
  return conv.shortcut >= 0 && is_added_[conv.shortcut] ? &ops_[conv.shortcut].conv : nullptr;
}

// Names the op's kernel and returns what it needs of the workspace.
size_t DeviceProgram::prepare(const Op& op, const Operands& operands) {
  switch (op.kind) {
    case OpKind::conv: {
      const int index = int(kernels_.size());
      if (is_added_[index]) {
        kernels_.push_back("added to a later product");
        return 0;
      }
      const MatmulArgs args = matmul_args(op.conv, shortcut(op.conv), operands);
      const MatmulChoice choice = rank_choices(args, context_.properties).front();
      Product product = make_product(args, choice, context_.type);
      kernels_.push_back(describe(product));
      const size_t bytes = partial_bytes(product.args);
      products_.emplace(index, std::move(product));
      return bytes;
    }
    case OpKind::group_norm: {
      const GroupNormArgs args = group_norm_args(op.group_norm, operands, context_.properties);
      if (args.groups > 1024)
        throw Error(ErrorCode::kUnsupported, "group_norm: more than 1024 groups");
      kernels_.push_back(args.once
                             ? "group norm, one read, clusters of " + std::to_string(args.blocks)
                         : args.eights ? "group norm by eights"
                                       : "group norm by values");
      return size_t(args.samples) * args.groups * args.blocks * sizeof(float2);
    }
    case OpKind::layer_norm:
      kernels_.push_back("layer norm");
      return 0;
    case OpKind::attention: {
      const int width = op.attention.head_width;
      if (attention_args(op.attention, operands, context_.properties).sm90) {
        kernels_.push_back("flash attention sm_90a, 128 queries, " +
                           std::to_string(attention_sm90_columns(width)) + " columns");
        return 0;
      }
      const AttentionKernelInfo info = attention_kernel_info(width);
      if (width > 512 || info.shared_bytes > context_.properties.shared_bytes)
        throw Error(ErrorCode::kUnsupported, "attention: heads of " + std::to_string(width) +
                                                 " channels do not fit the GPU");
      kernels_.push_back("flash attention " + std::to_string(info.queries) + " queries, " +
                         std::to_string(info.columns) + " columns");
      return 0;
    }
    default:
      kernels_.push_back("simple");
      return 0;
  }
}

void DeviceProgram::run(int step, int first, int last) {
  for (const TensorPlace& place : tensors_)
    if (place.step && (step < 0 || step > place.last_step))
      throw Error(ErrorCode::kInternal, "run: step " + std::to_string(step) + " is out of range");
  if (first < 0 || last > int(ops_.size()) || first > last)
    throw Error(ErrorCode::kInternal, "run: ops out of range");
  const Operands operands{tensors_.data(), weights_.data(), step};
  for (int i = first; i < last; i++) {
    if (context_.type == ActivationType::fp16)
      launch<Half>(i, operands);
    else
      launch<Bfloat16>(i, operands);
  }
}

template <typename T>
void DeviceProgram::launch(int index, const Operands& operands) {
  const Op& op = ops_[index];
  const Stream stream = context_.stream;
  int* const fault = reinterpret_cast<int*>(context_.fault.data());
  switch (op.kind) {
    case OpKind::conv: {
      if (is_added_[index]) return;
      Product product = products_.at(index);
      const int splits = product.args.splits;
      product.args = matmul_args(op.conv, shortcut(op.conv), operands);  // of this step
      product.args.splits = splits;
      product.args.partials = reinterpret_cast<float*>(workspace_.data());
      return launch_product<T>(product, context_.properties, stream);
    }
    case OpKind::group_norm: {
      GroupNormArgs args = group_norm_args(op.group_norm, operands, context_.properties);
      args.statistics = reinterpret_cast<float2*>(workspace_.data());
      return launch_group_norm<T>(args, stream);
    }
    case OpKind::layer_norm:
      return launch_layer_norm<T>(layer_norm_args(op.layer_norm, operands), stream);
    case OpKind::attention:
      return launch_attention<T>(attention_args(op.attention, operands, context_.properties),
                                 stream);
    case OpKind::elementwise:
      return launch_elementwise<T>(elementwise_args(op.elementwise, operands), stream);
    case OpKind::embedding:
      return launch_embedding<T>(embedding_args(op.embedding, operands, fault), stream);
    case OpKind::timestep_embedding:
      return launch_timestep_embedding<T>(timestep_args(op.timestep_embedding, operands), stream);
    case OpKind::pick_token:
      return launch_pick_token<T>(pick_token_args(op.pick_token, operands, fault), stream);
    case OpKind::concat:
      return launch_concat<T>(concat_args(op.concat, operands), stream);
    case OpKind::resample:
      return launch_resample<T>(resample_args(op.resample, operands), stream);
    case OpKind::nearest_code:
      return launch_nearest_code<T>(nearest_code_args(op.nearest_code, operands), stream);
  }
}

}  // namespace deepcache::cuda

#include <algorithm>
#include <set>

#include "cuda/op_args.h"
#include "cuda/program.h"

namespace deepcache::cuda {

DeviceProgram::DeviceProgram(Context& context, const ProgramSpec& spec)
    : context_(context),
      ops_(spec.ops, spec.ops + spec.op_count),
      tensors_(spec.tensors, spec.tensors + spec.tensor_count),
      weights_(spec.weights, spec.weights + spec.weight_count) {
  place_slices();
  const Operands operands{tensors_.data(), weights_.data()};
  is_added_.resize(ops_.size());
  for (const Op& op : ops_)
    if (op.kind == OpKind::conv && op.conv.shortcut >= 0)
      is_added_[op.conv.shortcut] =
          can_add_shortcut(op.conv, ops_[op.conv.shortcut].conv, operands);
  size_t bytes = 0;
  for (const Op& op : ops_) bytes = std::max(bytes, prepare(op));
  workspace_ = gpu::Memory(bytes);
  for (auto& [index, product] : products_)
    product.args.partials = reinterpret_cast<float*>(workspace_.data());
}

void DeviceProgram::place_slices() {
  constexpr size_t kAlignment = 256;
  const auto aligned = [](size_t n) { return (n + kAlignment - 1) / kAlignment * kAlignment; };
  size_t total = 0;
  for (const TensorPlace& place : tensors_)
    if (place.step) total += aligned(place.bytes);
  slice_memory_ = gpu::Memory(total);
  char* to = slice_memory_.data();
  for (TensorPlace& place : tensors_) {
    if (!place.step) continue;
    if (slices_.count == kMaxSlices || place.bytes % 4 || place.step % 4)
      throw Error(ErrorCode::kUnsupported, "the plan has too many or too odd stepped tensors");
    slices_.slice[slices_.count++] = {static_cast<const uint32_t*>(place.data), place.step / 4,
                                      reinterpret_cast<uint32_t*>(to), place.bytes / 4};
    last_step_ = std::min(last_step_, place.last_step);
    const size_t bytes = place.bytes;
    place = {to, bytes, 0, 0, place.type};
    to += aligned(bytes);
  }
}

void DeviceProgram::check_step(int step) const {
  if (step < 0 || step > last_step_)
    throw Error(ErrorCode::kInternal, "run: step " + std::to_string(step) + " is out of range");
}

const Conv* DeviceProgram::shortcut(const Conv& conv) const {
  return conv.shortcut >= 0 && is_added_[conv.shortcut] ? &ops_[conv.shortcut].conv : nullptr;
}

// Names the op's kernel and returns what it needs of the workspace.
size_t DeviceProgram::prepare(const Op& op) {
  const Operands operands{tensors_.data(), weights_.data()};
  switch (op.kind) {
    case OpKind::conv: {
      const int index = int(kernels_.size());
      if (is_added_[index]) {
        kernels_.push_back("added to a later product");
        return 0;
      }
      const MatmulArgs args = matmul_args(op.conv, shortcut(op.conv), operands);
      const MatmulChoice choice = context_.tuning.choose(args, context_);
      Product product = make_product(args, choice, context_.type);
      kernels_.push_back(describe(product));
      const size_t bytes = partial_bytes(product);
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
      const AttentionArgs args = attention_args(op.attention, operands, context_.properties);
      if (args.sm90) {
        const AttentionKernelInfo info = attention_sm90_info(args);
        kernels_.push_back("flash attention sm_90a, " + std::to_string(info.queries) +
                           " queries, " + std::to_string(info.keys) + " keys, " +
                           std::to_string(info.columns) + " columns");
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

void DeviceProgram::run(int step, int first, int last) const {
  check_step(step);
  if (slices_.count) launch_fetch_slices(slices_, step, context_.stream);
  enqueue(first, last, context_.stream);
}

void DeviceProgram::enqueue(int first, int last, Stream stream) const {
  if (first < 0 || last > int(ops_.size()) || first > last)
    throw Error(ErrorCode::kInternal, "run: ops out of range");
  for (int i = first; i < last; i++) launch(i, stream);
}

Slices slices_of(const DeviceSegments& segments) {
  Slices all;
  std::set<const DeviceProgram*> seen;
  for (const DeviceSegment& segment : segments) {
    if (!seen.insert(segment.program).second) continue;
    const Slices& own = segment.program->slices();
    if (all.count + own.count > kMaxSlices)
      throw Error(ErrorCode::kUnsupported, "the segments have too many stepped tensors");
    std::copy_n(own.slice, own.count, all.slice + all.count);
    all.count += own.count;
  }
  return all;
}

void DeviceProgram::launch(int index, Stream stream) const {
  if (context_.type == ActivationType::fp16)
    launch_typed<Half>(index, stream);
  else
    launch_typed<Bfloat16>(index, stream);
}

template <typename T>
void DeviceProgram::launch_typed(int index, Stream stream) const {
  const Op& op = ops_[index];
  const Operands operands{tensors_.data(), weights_.data()};
  int* const fault = reinterpret_cast<int*>(context_.fault.data());
  switch (op.kind) {
    case OpKind::conv:
      if (is_added_[index]) return;
      return launch_product<T>(products_.at(index), context_.properties, stream);
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

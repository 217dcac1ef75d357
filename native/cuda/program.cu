#include <algorithm>
#include <set>

#include "cuda/conv.h"
#include "cuda/program.h"

namespace deepcache::cuda {
namespace {

// "conv to 2x64x64x320".
std::string name_of(const Op& op) {
  const Shape& s = op.output().shape;
  return std::string(op.name()) + " to " + std::to_string(s.n) + 'x' + std::to_string(s.h) + 'x' +
         std::to_string(s.w) + 'x' + std::to_string(s.c);
}

}  // namespace

DeviceProgram::DeviceProgram(Context& context, const ProgramSpec& spec)
    : context_(context), tensors_(spec.tensors, spec.tensors + spec.tensor_count) {
  for (int i = 0; i < spec.weight_count; i++) gpu::declare_constant(spec.weights[i].data);
  place_slices();
  const Operands operands{tensors_.data(), spec.weights};
  std::vector<Op> ops(spec.ops, spec.ops + spec.op_count);
  std::vector<bool> is_added(ops.size());
  for (const Op& op : ops)
    if (op.kind == OpKind::conv && op.conv.shortcut >= 0)
      is_added[op.conv.shortcut] = can_add_shortcut(op.conv, ops[op.conv.shortcut].conv, operands);
  RowSums row_sums = place_row_sums(ops, spec.weights);
  const OpContext op_context{context, operands, ops, is_added, row_sums};
  size_t bytes = 0;
  for (size_t i = 0; i < ops.size(); i++) {
    std::unique_ptr<DeviceOp> made;
    if (!is_added[i]) made = ops[i].visit([&](const auto& op) { return make_op(op, op_context); });
    names_.push_back(name_of(ops[i]));
    kernels_.push_back(!made           ? "added to a later product"
                       : is_folded_[i] ? "folded into the product behind it"
                                       : made->kernel());
    if (made) bytes = std::max(bytes, made->workspace_bytes());
    ops_.push_back(std::move(made));
  }
  workspace_ = gpu::Memory(bytes);
  for (const auto& op : ops_)
    if (op) op->use_workspace(workspace_.data());
}

// Finds the layer norms that products have folded into them, and makes place for sums of rows: as
// many as the narrowest parts need.
RowSums DeviceProgram::place_row_sums(std::vector<Op>& ops, const WeightPlace* weights) {
  constexpr int kNarrowest = 32;
  is_folded_.resize(ops.size());
  size_t bytes = 0;
  for (Op& op : ops) {
    if (op.kind != OpKind::conv || op.conv.layer_norm < 0) continue;
    const Conv& conv = op.conv;
    if (weights[conv.weight].folded) {
      is_folded_[conv.layer_norm] = true;
      const size_t parts = size_t(conv.x.shape.c + kNarrowest - 1) / kNarrowest;
      bytes = std::max(bytes, conv.x.shape.rows() * parts * sizeof(float2));
    } else if (conv.row_writer >= 0) {
      ops[conv.row_writer].conv.sums_rows = false;
    }
  }
  row_sums_ = gpu::Memory(bytes);
  return {reinterpret_cast<float2*>(row_sums_.data())};
}

void DeviceProgram::place_slices() {
  size_t total = 0;
  for (const TensorPlace& place : tensors_)
    if (place.step) total += gpu::aligned_size(place.bytes);
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
    to += gpu::aligned_size(bytes);
  }
}

void DeviceProgram::check_step(int step) const {
  if (step < 0 || step > last_step_)
    throw Error(ErrorCode::kInternal, "run: step " + std::to_string(step) + " is out of range");
}

void DeviceProgram::run(int step, int first, int last) const {
  check_step(step);
  if (slices_.count)
    context_.run([] { return "fetching a step's tensors"; },
                 [&] { launch_fetch_slices(slices_, step, context_.stream); });
  enqueue(first, last, context_.stream);
}

void DeviceProgram::enqueue(int first, int last, Stream stream) const {
  if (first < 0 || last > int(ops_.size()) || first > last)
    throw Error(ErrorCode::kInternal, "run: ops out of range");
  for (int i = first; i < last; i++) {
    // A folded norm's output is nobody's input; who wants to see it runs the norm alone.
    if (!ops_[i] || (is_folded_[i] && last - first > 1)) continue;
    const auto name = [&] {
      return "op " + std::to_string(i) + " (" + names_[i] + "; " + kernels_[i] + ")";
    };
    context_.run(name, [&] { ops_[i]->launch(stream); });
  }
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

}  // namespace deepcache::cuda

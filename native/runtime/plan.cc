#include "plan.h"

#include <algorithm>

#include "arena.h"
#include "checked.h"
#include "error.h"
#include "folds.h"
#include "fusions.h"
#include "narrow.h"
#include "shortcuts.h"

namespace deepcache {
namespace {

// Below these no sum of two extents wraps, nor the bytes of a whole plan. Rows are counted in int.
constexpr int kMaxExtent = (1 << 30) - 1;
constexpr size_t kMaxValues = size_t(1) << 48;

bool is_addressable(const Shape& shape) {
  for (const int extent : {shape.n, shape.h, shape.w, shape.c})
    if (extent < 1 || extent > kMaxExtent) return false;
  return (Extent(shape.n) * shape.h * shape.w).fits() && shape.count() <= kMaxValues;
}

}  // namespace

Tensor Plan::temporary(Shape shape) {
  if (!is_addressable(shape))
    throw Error(ErrorCode::kInvalidArgument,
                "this size does not fit the model: one of its values would have the shape " +
                    to_string(shape));
  tensors_.push_back({shape});
  return {int(tensors_.size()) - 1, shape};
}

Tensor Plan::external(Port port, Shape shape, Type type, bool stepped) {
  const Tensor tensor = temporary(shape);
  tensors_.back().external = int(externals_.size());
  externals_.push_back({port, tensor.id, type, stepped});
  return tensor;
}

void Plan::make_external(Tensor tensor, Port port, Type type) {
  require(tensors_[tensor.id].external < 0, "the tensor is external already");
  tensors_[tensor.id].external = int(externals_.size());
  tensors_[tensor.id].shape = tensor.shape;
  externals_.push_back({port, tensor.id, type, false});
}

WeightId Plan::weight(const WeightSpec& spec) {
  const Count count = Count(spec.out) * spec.in * spec.kernel_h * spec.kernel_w;
  if (!count.fits() || spec.count() > kMaxValues)
    throw Error(ErrorCode::kInvalidArgument, "the configuration is too large: " + spec.names.at(0) +
                                                 " would have the shape " +
                                                 to_string(spec.published_shape(0)));
  weights_.push_back(spec);
  return int(weights_.size()) - 1;
}

void Plan::add(const Op& op) {
  check(op);
  ops_.push_back(op);
}

void Plan::label(Tensor tensor, const std::string& name) { labels_.emplace_back(name, tensor); }

void Plan::mark(const std::string& name) { marks_.push_back({name, int(ops_.size()), macs_}); }

const Mark& Plan::find_mark(const std::string& name) const {
  for (const Mark& mark : marks_)
    if (mark.name == name) return mark;
  throw Error(ErrorCode::kInternal, "plan: there is no mark " + name);
}

const External& Plan::find_external(Port port) const {
  for (const External& external : externals_)
    if (external.port == port) return external;
  throw Error(ErrorCode::kInternal, "plan: there is no external " + to_string(port));
}

void Plan::check(const Op& op) const {
  const Tensor y = op.output();
  require(y.id >= 0 && size_t(y.id) < tensors_.size(), "an op has no output");
  op.inputs([&](const Tensor& x) {
    if (!x) return;
    require(size_t(x.id) < tensors_.size(), "an input does not belong to the plan");
    require(x.shape.count() == tensors_[x.id].shape.count(), "a view has another count");
    require(x.id != y.id, "an op reads its own output");
  });
  op.weights([&](const WeightId& id) {
    require(size_t(id) < weights_.size(), "a parameter does not belong to the plan");
  });
  op.visit([&](const auto& checked) { checked.check(weights_); });
}

void Plan::finish() {
  std::vector<bool> labelled(tensors_.size());
  for (const auto& [name, tensor] : labels_)
    if (tensor) labelled[tensor.id] = true;
  const auto is_seen = [&](int id) { return tensors_[id].external >= 0 || labelled[id]; };
  find_shortcuts(ops_, is_seen);
  find_fusions(ops_, is_seen);
  find_folds(
      ops_, weights_, [&](int id) { return tensors_[id].external >= 0; },
      [&](int first, int last) {
        return std::ranges::any_of(
            marks_, [&](const Mark& mark) { return mark.op >= first && mark.op <= last; });
      });
  plain_ = place(lives([&](const Op& op, const auto& touch) {
    op.inputs(touch);
    if (op.kind != OpKind::conv) return;
    for (const int other : {op.conv.shortcut, op.conv.layer_norm})
      if (other >= 0) ops_[other].inputs(touch);
  }));

  narrow_ = find_narrow(ops_, weights_, narrow_norms_, tensors_.size(),
                        [&](int id) { return tensors_[id].external >= 0; });
  fused_ = place_fused(false);
  mixed_ = place_fused(true);
}

Arena Plan::place_fused(bool is_mixed) const {
  std::vector<ArenaValue> values =
      lives([&](const Op& op, const auto& touch) { fused_inputs(ops_, op, touch); });
  if (is_mixed)
    for (size_t id = 0; id < values.size(); ++id)
      if (!narrow_[id]) values[id].count *= bytes_of(Type::f32) / kMixedUnit;
  for (const Op& op : ops_)
    if (op.kind == OpKind::group_norm && op.group_norm.conv >= 0)
      values[op.group_norm.y.id].count = kept_of_norm(op.group_norm);
  find_successions(
      ops_,
      [&](int output, int input, int op) {
        const ArenaValue& value = values[input];
        return tensors_[output].external < 0 && tensors_[input].external < 0 && value.first < op &&
               value.last == op;
      },
      [&](int id) { return bytes_of(is_mixed && narrow_[size_t(id)] ? Type::bf16 : Type::f32); },
      [&](int output, int input) { values[output].over = input; });
  return place(values);
}

template <typename Reads>
std::vector<ArenaValue> Plan::lives(const Reads& reads) const {
  std::vector<ArenaValue> values(tensors_.size());
  for (size_t id = 0; id < values.size(); ++id) values[id].count = tensors_[id].shape.count();
  for (int i = 0; i < int(ops_.size()); ++i) {
    const auto touch = [&](const Tensor& tensor) {
      if (!tensor || tensors_[tensor.id].external >= 0) return;
      ArenaValue& value = values[tensor.id];
      if (value.first < 0) value.first = i;
      value.last = i;
    };
    reads(ops_[i], touch);
    touch(ops_[i].output());
  }
  return values;
}

}  // namespace deepcache

#include "plan.h"

#include <algorithm>

#include "checked.h"
#include "error.h"
#include "shortcuts.h"

namespace deepcache {
namespace {

constexpr size_t kAlignment = 64;  // values: a cache line and more, whatever their type

// Below these no sum of two extents wraps, nor the bytes of a whole plan. Rows are counted in int.
constexpr int kMaxExtent = (1 << 30) - 1;
constexpr size_t kMaxValues = size_t(1) << 48;

bool is_addressable(const Shape& shape) {
  for (const int extent : {shape.n, shape.h, shape.w, shape.c})
    if (extent < 1 || extent > kMaxExtent) return false;
  return (Extent(shape.n) * shape.h * shape.w).fits() && shape.count() <= kMaxValues;
}

// A temporary in the arena.
struct Placed {
  int first, last;  // ops between which it lives
  size_t begin, end;
};

size_t aligned(size_t values) { return (values + kAlignment - 1) / kAlignment * kAlignment; }

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
  find_shortcuts(ops_, [&](int id) { return tensors_[id].external >= 0 || labelled[id]; });

  for (int i = 0; i < int(ops_.size()); ++i) {
    const auto touch = [&](const Tensor& tensor) {
      if (!tensor) return;
      Value& value = tensors_[tensor.id];
      if (value.first < 0) value.first = i;
      value.last = i;
    };
    ops_[i].inputs(touch);
    if (ops_[i].kind == OpKind::conv && ops_[i].conv.shortcut >= 0)
      ops_[ops_[i].conv.shortcut].inputs(touch);
    touch(ops_[i].output());
  }

  // Largest first, each at the lowest offset that is free while it lives: close to the lower
  // bound (the most bytes that live at once) on these graphs.
  std::vector<Value*> order;
  for (Value& value : tensors_)
    if (value.external < 0 && value.first >= 0) order.push_back(&value);
  std::stable_sort(order.begin(), order.end(), [](const Value* a, const Value* b) {
    return a->shape.count() > b->shape.count();
  });
  std::vector<Placed> placed;  // by offset
  placed.reserve(order.size());
  for (Value* value : order) {
    const size_t size = aligned(value->shape.count());
    size_t offset = 0, best = SIZE_MAX, best_gap = SIZE_MAX;
    for (const Placed& other : placed) {
      if (other.last < value->first || other.first > value->last) continue;
      if (other.begin > offset && other.begin - offset >= size && other.begin - offset < best_gap) {
        best = offset;
        best_gap = other.begin - offset;
      }
      offset = std::max(offset, other.end);
    }
    value->offset = best == SIZE_MAX ? offset : best;
    const Placed place{value->first, value->last, value->offset, value->offset + size};
    arena_values_ = std::max(arena_values_, place.end);
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), place,
                         [](const Placed& a, const Placed& b) { return a.begin < b.begin; }),
        place);
  }
}

}  // namespace deepcache

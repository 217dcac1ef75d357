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

[[noreturn]] void mismatch(const std::string& what) {
  throw Error(ErrorCode::kInternal, "plan: " + what);
}

void require(bool condition, const char* what) {
  if (!condition) mismatch(what);
}

}  // namespace

const Tensor& Op::output() const {
  switch (kind) {
    case OpKind::conv:
      return conv.y;
    case OpKind::group_norm:
      return group_norm.y;
    case OpKind::layer_norm:
      return layer_norm.y;
    case OpKind::attention:
      return attention.y;
    case OpKind::elementwise:
      return elementwise.y;
    case OpKind::embedding:
      return embedding.y;
    case OpKind::timestep_embedding:
      return timestep_embedding.y;
    case OpKind::pick_token:
      return pick_token.y;
    case OpKind::concat:
      return concat.y;
    case OpKind::resample:
      return resample.y;
    case OpKind::nearest_code:
      break;
  }
  return nearest_code.y;
}

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
  mismatch("there is no mark " + name);
}

const External& Plan::find_external(Port port) const {
  for (const External& external : externals_)
    if (external.port == port) return external;
  mismatch("there is no external " + to_string(port));
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
  switch (op.kind) {
    case OpKind::conv: {
      const Conv& c = op.conv;
      const int channels = c.x.shape.c + (c.x2 ? c.x2.shape.c : 0);
      const WeightSpec& weight = weights_[c.weight];
      const int outputs = c.activation == Activation::geglu ? 2 * c.y.shape.c : c.y.shape.c;
      require(weight.in == channels && weight.out == outputs, "conv: channels");
      require(weight.kernel_h == c.kernel_h && weight.kernel_w == c.kernel_w, "conv: kernel");
      require(!c.x2 || c.x2.shape.rows() == c.x.shape.rows(), "conv: second input");
      require(!c.residual || c.residual.shape == c.y.shape, "conv: residual");
      require(c.x.shape.n == c.y.shape.n, "conv: batch");
      if (c.row)
        require((c.row.shape.n == 1 || c.row.shape.n == c.y.shape.n) &&
                    c.row_offset + c.y.shape.c <= c.row.shape.c,
                "conv: row");
      break;
    }
    case OpKind::group_norm: {
      const GroupNorm& g = op.group_norm;
      const int channels = g.x.shape.c + (g.x2 ? g.x2.shape.c : 0);
      require(channels == g.y.shape.c && g.x.shape.rows() == g.y.shape.rows(), "group_norm: shape");
      require(g.groups > 0 && channels % g.groups == 0, "group_norm: groups");
      break;
    }
    case OpKind::layer_norm:
      require(op.layer_norm.x.shape == op.layer_norm.y.shape, "layer_norm: shape");
      break;
    case OpKind::attention: {
      const Attention& a = op.attention;
      const int width = a.heads * a.head_width;
      require(a.y.shape.c == width, "attention: output channels");
      require(a.q_offset + width <= a.q.shape.c && a.k_offset + width <= a.k.shape.c &&
                  a.v_offset + width <= a.v.shape.c,
              "attention: channels");
      require(!a.causal || a.query.length == a.key.length, "attention: causal lengths");
      const auto last = [&](const Sequence& s) {
        return size_t(a.outer - 1) * s.outer_stride + size_t(a.inner - 1) * s.inner_stride +
               size_t(s.length - 1) * s.step;
      };
      require(last(a.query) < a.q.shape.rows() && last(a.query) < a.y.shape.rows() &&
                  last(a.key) < a.k.shape.rows() && last(a.key) < a.v.shape.rows(),
              "attention: sequences");
      break;
    }
    case OpKind::elementwise: {
      const Elementwise& e = op.elementwise;
      require(e.x.shape.count() == e.y.shape.count(), "elementwise: shape");
      require(!e.x2 || (e.x2.shape.c == e.x.shape.c && e.repeat > 0 &&
                        e.x.shape.rows() % (e.x2.shape.rows() * e.repeat) == 0),
              "elementwise: second input");
      break;
    }
    case OpKind::embedding:
      require(op.embedding.y.shape.rows() == op.embedding.ids.shape.count(), "embedding: shape");
      break;
    case OpKind::timestep_embedding: {
      const TimestepEmbedding& t = op.timestep_embedding;
      require(t.y.shape.count() == t.x.shape.count() * t.dim, "timestep_embedding: shape");
      break;
    }
    case OpKind::pick_token:
      require(op.pick_token.y.shape.rows() == op.pick_token.index.shape.count(),
              "pick_token: shape");
      break;
    case OpKind::concat: {
      const Concat& c = op.concat;
      require(c.y.shape.c == c.x.shape.c + c.x2.shape.c && c.x.shape.rows() == c.x2.shape.rows() &&
                  c.y.shape.rows() == c.x.shape.rows(),
              "concat: shape");
      break;
    }
    case OpKind::resample: {
      const Shape &x = op.resample.x.shape, &to = op.resample.y.shape;
      require(x.n == to.n && x.c == to.c &&
                  ((to.h == x.h / 2 && to.w == x.w / 2) || (to.h == 2 * x.h && to.w == 2 * x.w)),
              "resample: shape");
      break;
    }
    case OpKind::nearest_code: {
      const NearestCode& code = op.nearest_code;
      require(code.x.shape == code.y.shape, "nearest_code: shape");
      require(weights_[code.table].in == code.x.shape.c && weights_[code.table].out > 0,
              "nearest_code: table");
      break;
    }
  }
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

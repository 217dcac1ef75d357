#pragma once

// One forward pass as a flat list of ops, recorded once for each (model, batch, size, context
// length). Model code records, finish() plans the memory, backends execute.

#include <string>
#include <utility>
#include <vector>

#include "arena.h"
#include "ops.h"
#include "port.h"
#include "weights.h"

namespace deepcache {

// Multiply-accumulates of the architecture as published, whatever a plan fuses or skips.
struct Macs {
  double repo = 0;      // as DeepCache's flops.py counts: biases and norms, no attention products
  double complete = 0;  // convolutions, linear layers and both attention products

  Macs& operator+=(const Macs& other) {
    repo += other.repo;
    complete += other.complete;
    return *this;
  }
  Macs& operator-=(const Macs& other) {
    repo -= other.repo;
    complete -= other.complete;
    return *this;
  }
};

// Ops [first, last) of a plan, a segment of it. A pass may run some segments only: what one writes
// and another reads keeps its place in the arena from the first to the last, whatever lies between.
struct OpRange {
  int first = 0, last = 0;

  int count() const { return last - first; }
  auto operator<=>(const OpRange&) const = default;
};
using OpRanges = std::vector<OpRange>;
int count_ops(const OpRanges& segments);

// A place between ops where segments begin and end.
struct Mark {
  std::string name;
  int op = 0;  // the first one behind it
  Macs macs;   // counted so far
};

// A buffer that outlives a run: inputs, outputs, prompt keys and values, the DeepCache feature.
struct External {
  Port port;
  int tensor = -1;
  Type type = Type::f32;
  // The bound buffer holds one such tensor for each step of a run; the step index picks.
  bool stepped = false;
};

// How a backend runs ops, which decides what lies in memory at the same time. `fused`: norms are
// computed where a convolution reads them, results take the place of what they are added to or
// made from (fusions.h). `mixed`: besides, temporaries that are narrow (narrow.h) are of bf16, the
// others of fp32, whatever the activation type.
enum class Execution : uint8_t { op_by_op, fused, mixed };

class Plan {
 public:
  Tensor external(Port port, Shape shape, Type type = Type::f32, bool stepped = false);
  // Throws Error(kInvalidArgument) for a shape without values, or of more than can be addressed.
  Tensor temporary(Shape shape);
  // Turns a temporary into an external: the ops that write and read it stay as they are. It has the
  // shape of the view that is given.
  void make_external(Tensor tensor, Port port, Type type = Type::f32);
  // Throws Error(kInvalidArgument) for a parameter of more values than can be addressed.
  WeightId weight(const WeightSpec& spec);

  // Throws Error(kInternal) when shapes do not fit: a mistake in model code.
  void add(const Op& op);
  // Names a value for tests and taps, in diffusers' module paths.
  void label(Tensor tensor, const std::string& name);
  void count(const Macs& macs) { macs_ += macs; }
  // Marks the place before the next op.
  void mark(const std::string& name);

  // What GroupNorms read may be narrow, too (narrow.h), which costs some exactness: in networks
  // whose largest values these are. Before finish().
  void narrow_norms() { narrow_norms_ = true; }

  // Computes when each temporary lives and where in the arena. The plan is constant afterwards.
  void finish();

  const std::vector<Op>& ops() const { return ops_; }
  OpRange all() const { return {0, int(ops_.size())}; }
  // Throws Error(kInternal) when there is no such mark.
  const Mark& find_mark(const std::string& name) const;
  const std::vector<External>& externals() const { return externals_; }
  const External& find_external(Port port) const;
  const Shape& shape(int tensor) const { return tensors_[tensor].shape; }
  // Whether the temporary is of bf16 in Execution::mixed.
  bool is_narrow(int tensor) const { return narrow_[size_t(tensor)]; }
  // The index of the tensor's external, or -1.
  int external_index(int tensor) const { return tensors_[tensor].external; }
  // Where the temporary lies in the arena, in bytes, when activations have this type.
  size_t offset(int tensor, Type activation, Execution how = Execution::op_by_op) const {
    return arena(how).offsets[size_t(tensor)] * unit(activation, how);
  }
  const std::vector<WeightSpec>& weights() const { return weights_; }
  const std::vector<std::pair<std::string, Tensor>>& labels() const { return labels_; }
  size_t arena_bytes(Type activation, Execution how = Execution::op_by_op) const {
    return arena(how).count * unit(activation, how);
  }
  // Of one external (a single step of a stepped one).
  size_t external_bytes(const External& external, Type activation) const {
    return shape(external.tensor).count() * bytes_of(external.type, activation);
  }
  size_t weight_count() const;  // values in all
  const Macs& macs() const { return macs_; }
  // Of segments that begin and end at marks, or where the plan does.
  Macs macs(const OpRanges& segments) const;
  // Multiply-accumulates that executing the plan takes (convolutions and attention).
  double executed_macs() const { return executed_macs({all()}); }
  double executed_macs(const OpRanges& segments) const;

 private:
  struct Value {
    Shape shape;
    int external = -1;
  };

  void check(const Op& op) const;
  // When each temporary lives. `reads(op, touch)` calls `touch` for the tensors that an op reads.
  template <typename Reads>
  std::vector<ArenaValue> lives(const Reads& reads) const;
  Arena place_fused(bool is_mixed) const;
  const Arena& arena(Execution how) const {
    return how == Execution::op_by_op ? plain_ : how == Execution::fused ? fused_ : mixed_;
  }
  // Bytes of what arenas are counted in: values, in `mixed` those of bf16.
  static constexpr size_t kMixedUnit = 2;
  static size_t unit(Type activation, Execution how) {
    return how == Execution::mixed ? kMixedUnit : bytes_of(activation);
  }
  const Macs& macs_before(int op) const;

  std::vector<Op> ops_;
  std::vector<Value> tensors_;
  std::vector<External> externals_;
  std::vector<WeightSpec> weights_;
  std::vector<std::pair<std::string, Tensor>> labels_;
  std::vector<Mark> marks_;
  Arena plain_, fused_, mixed_;
  bool narrow_norms_ = false;
  std::vector<bool> narrow_;
  Macs macs_;
};

}  // namespace deepcache

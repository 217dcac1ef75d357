// What every op of the list must do besides computing: tell what it reads, and refuse what does not
// fit.

#include <set>

#include "test.h"
#include "test/ops/op_cases.h"

namespace deepcache::test {
namespace {

constexpr OpKind kKinds[] = {
#define DEEPCACHE_OP(Type, name) OpKind::name,
    DEEPCACHE_OPS(DEEPCACHE_OP)
#undef DEEPCACHE_OP
};

}  // namespace

TEST(ops_have_cases) {
  std::set<OpKind> seen;
  for (const OpCase& test : op_cases()) {
    OpBuilder builder(1);
    const Op op = test.record(builder);
    // A case of one op may be about another that comes before it.
    if (test.name.starts_with(op.name())) seen.insert(op.kind);
  }
  for (const OpKind kind : kKinds) CHECK(seen.contains(kind));
}

TEST(ops_tell_all_that_they_read) {
  for (const OpCase& test : op_cases()) {
    OpBuilder builder(1);
    builder.finish(test.record(builder));
    std::set<int> tensors, weights;
    for (const Op& op : builder.plan.ops()) {
      op.inputs([&](const Tensor& tensor) { tensors.insert(tensor.id); });
      op.weights([&](const WeightId& id) { weights.insert(id); });
    }
    for (const auto& [id, values] : builder.inputs) CHECK(tensors.contains(id));
    CHECK_EQ(weights.size(), builder.plan.weights().size());
  }
}

TEST(ops_refuse_an_output_of_another_shape) {
  for (const OpCase& test : op_cases()) {
    OpBuilder builder(1);
    Op op = test.record(builder);
    Shape shape = op.output().shape;
    builder.plan.add(op);
    shape.n++, shape.c++;
    const_cast<Tensor&>(op.output()) = builder.plan.temporary(shape);
    CHECK_THROWS(builder.plan.add(op), ErrorCode::kInternal);
  }
}

TEST(ops_refuse_a_parameter_of_another_plan) {
  for (const OpCase& test : op_cases()) {
    OpBuilder builder(1);
    const Op op = test.record(builder);
    op.weights([&](const WeightId& id) {
      const WeightId own = id;
      const_cast<WeightId&>(id) = int(builder.plan.weights().size());
      CHECK_THROWS(builder.plan.add(op), ErrorCode::kInternal);
      const_cast<WeightId&>(id) = own;
    });
  }
}

}  // namespace deepcache::test

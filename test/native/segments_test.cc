// Plans cut at their marks.

#include "runtime/error.h"
#include "segment_checks.h"

namespace deepcache::test {

TEST(segments_take_a_residual_of_another_network) { check_residual_port(*make_cpu_backend(1)); }

TEST(segments_of_two_unets_share_a_feature) { check_two_unets(*make_cpu_backend(1)); }

TEST(segments_are_checked) {
  Plan plan;
  Elementwise op;
  op.x = plan.external(PortKind::sample, {1, 1, 1, 2});
  op.y = plan.external({PortKind::feature, 3}, {1, 1, 1, 2});
  plan.add(op);
  plan.mark("half");
  plan.count({1, 2});
  op.x = op.y;
  op.y = plan.external(PortKind::out, {1, 1, 1, 2});
  plan.add(op);
  plan.finish();
  CHECK_EQ(plan.macs({{1, 2}}).complete, 2.0);
  CHECK_EQ(plan.macs({{0, 1}}).complete, 0.0);
  CHECK_EQ(count_ops({{0, 1}, {1, 2}}), 2);
  CHECK_THROWS(plan.find_mark("whole"), ErrorCode::kInternal);
  CHECK_EQ(to_string(plan.externals()[1].port), "feature.3");
  CHECK_EQ(to_string(plan.externals()[2].port), "out");

  const auto backend = make_cpu_backend(1);
  Weights weights(OpBuilder(1).source(), *backend);
  const auto x = backend->allocate(8), y = backend->allocate(8), arena = backend->allocate(0);
  const auto program = backend->compile(plan, weights, *arena, {{x.get()}, {y.get()}, {x.get()}});
  for (const OpRange bad : {OpRange{-1, 1}, OpRange{1, 3}, OpRange{2, 1}})
    CHECK_THROWS(program->run(bad, 0, nullptr, nullptr), ErrorCode::kInternal);
}

}  // namespace deepcache::test

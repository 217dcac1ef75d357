// Where layer norms may be folded into the products that read them.

#include "runtime/folds.h"

#include <algorithm>
#include <map>

#include "models/unet_plan.h"
#include "runtime/plan.h"
#include "test.h"
#include "tiny_unet.h"

namespace deepcache::test {
namespace {

constexpr Shape kShape{1, 1, 5, 16};

// The plan of x -> writer -> norm -> reader, with what a test changes of it.
struct Recorded {
  Plan plan;
  Tensor x = plan.external({PortKind::sample, 0}, kShape);

  WeightId vector(const std::string& name, int count) {
    return plan.weight({Recipe::vector, {name}, count});
  }
  Tensor linear(Tensor from, const std::string& name, int out = kShape.c, int taps = 1) {
    Conv op;
    op.x = from;
    op.y = plan.temporary({from.shape.n, from.shape.h, from.shape.w, out});
    op.kernel_h = op.kernel_w = taps;
    op.pad_top = op.pad_left = taps / 2;
    op.weight = plan.weight({Recipe::matrix, {name + ".weight"}, out, from.shape.c, taps, taps});
    op.bias = vector(name + ".bias", out);
    plan.add(op);
    return op.y;
  }
  Tensor norm(Tensor from, const std::string& name) {
    LayerNorm op;
    op.x = from;
    op.y = plan.temporary(from.shape);
    op.gamma = vector(name + ".weight", from.shape.c);
    op.beta = vector(name + ".bias", from.shape.c);
    plan.add(op);
    return op.y;
  }
  void end(Tensor y) {
    plan.make_external(y, PortKind::out);
    plan.finish();
  }
  const Conv& conv(int op) const { return plan.ops()[size_t(op)].conv; }
};

}  // namespace

TEST(folds_are_found) {
  Recorded r;
  const Tensor written = r.linear(r.x, "writer"), normed = r.norm(written, "norm");
  r.plan.label(normed, "norm");  // who wants to see it gets it
  r.end(r.linear(normed, "reader", 24));
  CHECK_EQ(r.conv(2).layer_norm, 1);
  CHECK_EQ(r.conv(2).row_writer, 0);
  CHECK(r.conv(0).sums_rows);
  CHECK_EQ(r.conv(0).layer_norm, -1);
  const WeightSpec spec = folded_spec(r.plan.ops(), r.plan.weights(), r.conv(2));
  CHECK((spec.names ==
         std::vector<std::string>{"reader.weight", "norm.weight", "norm.bias", "reader.bias"}));
  CHECK_EQ(spec.matrix_names(), size_t(1));
  CHECK((spec.published_shape(0) == std::vector<int64_t>{24, 16, 1, 1}));
  CHECK((spec.published_shape(1) == std::vector<int64_t>{16}));
  CHECK((spec.published_shape(3) == std::vector<int64_t>{24}));
  // What the product reads must lie there until then.
  CHECK(r.plan.offset(written.id, Type::f16) != r.plan.offset(normed.id, Type::f16));
}

TEST(folds_need_a_norm_for_one_linear_layer) {
  {
    Recorded r;  // two readers
    const Tensor normed = r.norm(r.linear(r.x, "writer"), "norm");
    r.linear(normed, "first");
    r.end(r.linear(normed, "second"));
    CHECK_EQ(r.conv(2).layer_norm, -1);
    CHECK_EQ(r.conv(3).layer_norm, -1);
    CHECK(!r.conv(0).sums_rows);
  }
  {
    Recorded r;  // a convolution pads with zeros
    r.end(r.linear(r.norm(r.linear(r.x, "writer"), "norm"), "reader", 16, 3));
    CHECK_EQ(r.conv(2).layer_norm, -1);
  }
  {
    Recorded r;  // somebody wants the norm
    const Tensor normed = r.norm(r.linear(r.x, "writer"), "norm");
    const Tensor y = r.linear(normed, "reader");
    r.plan.make_external(normed, PortKind::last);
    r.end(y);
    CHECK_EQ(r.conv(2).layer_norm, -1);
  }
}

// Kernels read rows by eight values.
TEST(folds_are_of_eights) {
  for (const int channels : {8, 9, 12, 16, 20, 24}) {
    Recorded r;
    r.end(r.linear(r.norm(r.linear(r.x, "writer", channels), "norm"), "reader", 24));
    CHECK_EQ(r.conv(2).layer_norm, channels % 8 == 0 ? 1 : -1);
    CHECK_EQ(r.conv(0).sums_rows, channels % 8 == 0);
  }
}

TEST(folds_need_a_weight_of_their_own) {
  Recorded r;
  Conv second;
  second.x = r.linear(r.norm(r.linear(r.x, "writer"), "norm"), "reader");
  second.weight = r.plan.ops()[2].conv.weight;
  second.y = r.plan.temporary(kShape);
  r.plan.add(second);
  r.end(second.y);
  CHECK_EQ(r.conv(2).layer_norm, -1);
}

TEST(folds_have_sums_of_the_writer_in_the_same_segment) {
  Recorded r;
  const Tensor written = r.linear(r.x, "writer");
  r.plan.mark("unit");
  r.end(r.linear(r.norm(written, "norm"), "reader"));
  CHECK_EQ(r.conv(2).layer_norm, 1);
  CHECK_EQ(r.conv(2).row_writer, -1);
  CHECK(!r.conv(0).sums_rows);
}

TEST(folds_have_sums_of_one_writer_at_a_time) {
  Recorded r;
  const Tensor first = r.linear(r.x, "first"), second = r.linear(r.x, "second");
  const Tensor a = r.linear(r.norm(second, "norm2"), "reader2");
  r.end(r.linear(r.norm(a, "norm3"), "reader3"));
  CHECK_EQ(r.conv(3).row_writer, 1);
  CHECK_EQ(r.conv(5).layer_norm, 4);
  CHECK_EQ(r.conv(5).row_writer, -1);  // it has a norm of its own
  CHECK(!r.conv(0).sums_rows);
  CHECK(bool(first));
}

// A reader whose rows nobody has summed has them summed into the same place.
TEST(folds_have_no_other_reader_between) {
  Recorded r;
  const Tensor first = r.linear(r.x, "first"), given = r.linear(r.x, "given", 16, 3);
  const Tensor other = r.linear(r.norm(given, "other_norm"), "other");
  r.end(r.linear(r.norm(first, "norm"), "reader"));
  CHECK_EQ(r.conv(3).layer_norm, 2);
  CHECK_EQ(r.conv(3).row_writer, -1);
  CHECK_EQ(r.conv(5).layer_norm, 4);
  CHECK_EQ(r.conv(5).row_writer, -1);
  CHECK(!r.conv(0).sums_rows);
  CHECK(bool(other));
}

// Otherwise the weight would be packed, and lie in memory, twice.
TEST(folds_are_the_same_in_all_plans_of_a_model) {
  const UnetConfig config = tiny_with("");
  const auto norms = [&](const UnetShape& shape, const std::vector<int>& features = {}) {
    const Plan plan = plan_unet(config, shape, features);
    std::map<std::string, std::string> found;  // by the weight that is folded
    for (const Op& op : plan.ops()) {
      if (op.kind != OpKind::conv) continue;
      const int norm = op.conv.layer_norm;
      const std::string gamma =
          norm < 0 ? ""
                   : plan.weights()[size_t(plan.ops()[size_t(norm)].layer_norm.gamma)].names[0];
      found[plan.weights()[size_t(op.conv.weight)].names[0]] = gamma;
    }
    return found;
  };
  UnetShape shape{2, 8, 8, 3, 1};
  shape.outputs = 2;
  const auto usual = norms(shape);
  CHECK_EQ(std::ranges::count_if(usual, [](const auto& one) { return !one.second.empty(); }),
           3 * 11);
  CHECK(norms(shape, {0, 1, 2, 3}) == usual);
  const std::vector<UnetExtras> others = {{.residuals = 1},
                                          {.block_features = 3},
                                          {.image_tokens = {4}},
                                          {.free_u = true},
                                          {.perturbed = {0, 2}},
                                          {.forecasts = true},
                                          {.attention = {AttentionUse::keep, AttentionUse::keep}},
                                          {.attention_mass = true}};
  for (const UnetExtras& extras : others) {
    shape.extras = extras;
    CHECK(norms(shape) == usual);
  }
  // What is kept is not computed.
  shape.extras = {.attention = {AttentionUse::kept, AttentionUse::kept}};
  for (const auto& [weight, gamma] : norms(shape)) CHECK_EQ(gamma, usual.at(weight));
}

}  // namespace deepcache::test

// The U-Net as plans: its counts against the published ones, and DeepCache's defining property.

#include <algorithm>
#include <cmath>

#include "native/models/unet.h"
#include "native/models/weight_plans.h"
#include "native/runtime/error.h"
#include "test.h"
#include "tiny_unet.h"

namespace deepcache {
using namespace test;
namespace {

const char* const kSvd = R"({
  "_class_name": "UNetSpatioTemporalConditionModel", "in_channels": 8, "out_channels": 4,
  "down_block_types": ["CrossAttnDownBlockSpatioTemporal", "CrossAttnDownBlockSpatioTemporal",
                       "CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"],
  "up_block_types": ["UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal",
                     "CrossAttnUpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"],
  "block_out_channels": [320, 640, 1280, 1280], "layers_per_block": 2,
  "cross_attention_dim": 1024, "num_attention_heads": [5, 10, 20, 20],
  "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 768
})";

}  // namespace

TEST(unet_macs_are_the_published_ones) {
  const UnetConfig config = UnetConfig::parse(kSd15);
  const UnetShape shape{1, 64, 64, 77, 1};
  const Plan plan = plan_unet(config, shape, {});
  const Macs full = plan.macs();
  CHECK_EQ(full.repo, 338831618304.0);
  CHECK_EQ(full.complete, 401636720640.0);
  const Macs branch0 = plan.macs(retrieve_segments(plan, 0));
  CHECK_EQ(branch0.repo, 20715624704.0);
  CHECK_EQ(branch0.complete, 31626035200.0);
  CHECK_EQ(plan.macs(retrieve_segments(plan, 5)).repo, 208578390784.0);
  CHECK_EQ(plan_unet(config, shape, {}).weight_count() +
               plan_unet_context(config, 1, 1).weight_count() +
               plan_unet_time(config, 1, 1, 1).weight_count(),
           size_t(859520964));
}

TEST(video_unet_macs_are_the_computed_ones) {
  const UnetConfig config = UnetConfig::parse(kSvd);
  UnetShape shape{14, 72, 128, 1, 1, 14};
  const Plan plan = plan_unet(config, shape, {});
  const Macs full = plan.macs();
  CHECK_EQ(full.repo, 18059791044096.0);
  CHECK_EQ(full.complete, 22400921190400.0);
  const Macs branch0 = plan.macs(retrieve_segments(plan, 0));
  CHECK_EQ(branch0.repo, 1134964860416.0);
  CHECK_EQ(branch0.complete, 1895896268800.0);
  shape.batch = shape.frames = 25;
  const Plan longer = plan_unet(config, shape, {});
  CHECK_EQ(longer.macs(retrieve_segments(longer, 5)).complete, 27906188656640.0);
  // Names the same weights whatever the shape.
  CHECK_EQ(plan_unet(config, shape, {}).weight_count() +
               plan_unet_context(config, shape).weight_count() +
               plan_unet_time(config, 1, 1, config.some_time_ids()).weight_count(),
           size_t(1524623082));
}

// The cached feature is all that a retrieve step takes from the full one: on the same input both
// give the same output, whatever the branch and however odd the size.
static void check_retrieve(const std::string& field) {
  const auto unet = tiny_unet(field);
  const int batch = 2, height = 9, width = 7, tokens = 5;
  const auto sample = values("sample", {batch, 4, height, width});
  const auto context = values("context", {batch, tokens, 12});
  UnetForward request;
  request.batch = batch;
  request.height = height;
  request.width = width;
  request.sample = sample.data();
  request.timesteps = {601.5f, 3};
  request.conditions.context = context.data();
  request.conditions.context_length = tokens;
  for (int branch = 0; branch < unet->config().branches(); ++branch) {
    request.retrieve.reset();
    request.features = {branch};
    const std::vector<float> full = unet->forward(request, nullptr, nullptr);
    Shape shape;
    const std::vector<float> feature = unet->feature(branch, &shape);
    CHECK_EQ(feature.size(), shape.count());
    request.retrieve = branch;
    const std::vector<float> again = unet->forward(request, nullptr, nullptr);
    CHECK(full == again);
    // On another input it must not: the cached part is the old one, the rest is not.
    UnetForward other = request;
    const auto moved = values("moved", {batch, 4, height, width});
    other.sample = moved.data();
    CHECK(unet->forward(other, nullptr, nullptr) != full);
  }
}

TEST(unet_retrieve_repeats_the_full_step_on_its_input) {
  check_retrieve("");
  check_retrieve(R"("mid_block_type": null)");
  check_retrieve(R"("mid_block_type": "UNetMidBlock2D")");
}

// Features are those of the full step, also where a deeper retrieve step comes by them.
TEST(unet_retrieve_leaves_shallower_features) {
  const auto unet = tiny_unet();
  const int last = unet->config().branches() - 1;
  const auto sample = values("sample", {1, 4, 8, 8}), moved = values("moved", {1, 4, 8, 8});
  const auto context = values("context", {1, 3, 12});
  UnetForward request;
  request.height = request.width = 8;
  request.sample = sample.data();
  request.timesteps = {1};
  request.conditions.context = context.data();
  request.conditions.context_length = 3;
  const auto retrieve = [&](int branch, const float* from) {
    UnetForward again = request;
    again.retrieve = branch;
    again.sample = from;
    return unet->forward(again, nullptr, nullptr);
  };
  request.features = {0, 2, last};
  const std::vector<float> full = unet->forward(request, nullptr, nullptr);
  for (const int branch : {last, 2, 0}) CHECK(retrieve(branch, moved.data()) != full);
  for (const int branch : {0, 2, last}) CHECK(retrieve(branch, sample.data()) == full);
}

TEST(unet_without_a_mid_block_keeps_the_down_path) {
  const UnetConfig config = tiny_with(R"("mid_block_type": null)");
  CHECK_EQ(describe_branch(config, config.branches() - 1).feature, "down_blocks.2.attentions.0");
  CHECK_EQ(describe_branch(tiny_with(""), config.branches() - 1).feature, "mid_block");
  for (const Plan& plan : weight_plans(config))
    for (const WeightSpec& spec : plan.weights()) CHECK(!spec.names[0].starts_with("mid_block"));
}

// Zeros stand for no condition; one for each sample is as good as the samples alone.
TEST(unet_takes_an_embedded_guidance_scale) {
  const auto unet = tiny_unet(R"("time_cond_proj_dim": 8)");
  const auto sample = values("sample", {2, 4, 8, 8}), context = values("context", {2, 3, 12});
  const auto cond = values("cond", {2, 8});
  const auto forward = [&](int first, int batch, const float* given) {
    UnetForward request = tiny_pass(sample, context, first, batch);
    request.conditions.timestep_cond = given;
    return unet->forward(request, nullptr, nullptr);
  };
  const std::vector<float> zeros(16, 0.0f), none = forward(0, 2, nullptr);
  CHECK(none == forward(0, 2, zeros.data()));
  const std::vector<float> both = forward(0, 2, cond.data());
  CHECK(both != none);
  std::vector<float> one = forward(0, 1, cond.data()), two = forward(1, 1, cond.data() + 8);
  one.insert(one.end(), two.begin(), two.end());
  CHECK(both == one);
}

TEST(unet_refuses_what_it_cannot_retrieve) {
  const auto unet = tiny_unet();
  const auto sample = values("sample", {1, 4, 8, 8});
  const auto context = values("context", {1, 3, 12});
  UnetForward request;
  request.batch = 1;
  request.height = request.width = 8;
  request.sample = sample.data();
  request.timesteps = {1};
  request.conditions.context = context.data();
  request.conditions.context_length = 3;
  request.retrieve = 1;
  CHECK_THROWS(unet->forward(request, nullptr, nullptr), ErrorCode::kInvalidArgument);
  request.retrieve = unet->config().branches();
  CHECK_THROWS(unet->forward(request, nullptr, nullptr), ErrorCode::kInvalidArgument);
  request.retrieve.reset();
  request.features = {0};
  unet->forward(request, nullptr, nullptr);
  request.height = request.width = 4;  // another size than the feature's
  request.retrieve = 0;
  CHECK_THROWS(unet->forward(request, nullptr, nullptr), ErrorCode::kInvalidArgument);
}

TEST(unet_configurations_are_checked) {
  CHECK_THROWS(tiny_with(R"("class_embed_type": "words")"), ErrorCode::kUnsupported);
  CHECK_THROWS(tiny_with(R"("act_fn": "relu")"), ErrorCode::kUnsupported);
  CHECK_THROWS(tiny_with(R"("dual_cross_attention": true)"), ErrorCode::kUnsupported);
  CHECK_THROWS(tiny_with(R"("num_attention_heads": 2)"), ErrorCode::kUnsupported);
  CHECK_THROWS(tiny_with(R"("sample_size": 0)"), ErrorCode::kInvalidConfig);
  CHECK_THROWS(tiny_with(R"("mid_block_type": "UNetMidBlock3D")"), ErrorCode::kUnsupported);
  CHECK_THROWS(tiny_with(R"("only_cross_attention": [true, false])"), ErrorCode::kInvalidConfig);
  CHECK_THROWS(tiny_with(R"("class_embeddings_concat": true)"), ErrorCode::kInvalidConfig);
  CHECK_THROWS(tiny_with(R"("conv_in_kernel": 2)"), ErrorCode::kInvalidConfig);
  CHECK_THROWS(tiny_with(R"("resnet_out_scale_factor": 0)"), ErrorCode::kInvalidConfig);
  CHECK_THROWS(tiny_with(R"("sample_size": [8, 8, 8])"), ErrorCode::kInvalidConfig);
  CHECK_THROWS(UnetConfig::parse("{}"), ErrorCode::kInvalidConfig);
  CHECK_THROWS(UnetConfig::parse("[1"), ErrorCode::kInvalidConfig);
  CHECK_EQ(tiny_with(R"("sample_size": 96)").sample_width, 96);
  const UnetConfig wide = tiny_with(R"("sample_size": [8, 16], "only_cross_attention": false)");
  CHECK_EQ(wide.sample_height, 8);
  CHECK_EQ(wide.sample_width, 16);
  CHECK_EQ(tiny_with(R"("mid_block_type": null)").mid.layers, 0);
  CHECK_EQ(tiny_with(R"("mid_block_type": "UNetMidBlock2D")").mid.layers, 1);
  CHECK_EQ(tiny_with(R"("time_cond_proj_dim": 8)").time_cond_width, 8);
  // Levels that do not attend may say so.
  std::string none = kTiny;
  none.replace(none.find("[1, 1, 2]"), 9, "[1, 0, 2]");
  CHECK_EQ(UnetConfig::parse(none).down[1].depth[0], 0);
}

// Values whose lives overlap never share memory.
TEST(plan_arena_keeps_live_values_apart) {
  const UnetConfig config = UnetConfig::parse(kTiny);
  const Plan plan = plan_unet(config, {2, 12, 8, 7, 1}, {1});
  struct Life {
    int first = -1, last = -1;
  };
  std::vector<Life> lives;
  const auto touch = [&](const Tensor& tensor, int op) {
    if (!tensor) return;
    if (size_t(tensor.id) >= lives.size()) lives.resize(tensor.id + 1);
    if (lives[tensor.id].first < 0) lives[tensor.id].first = op;
    lives[tensor.id].last = op;
  };
  for (int i = 0; i < int(plan.ops().size()); ++i) {
    plan.ops()[i].inputs([&](const Tensor& tensor) { touch(tensor, i); });
    touch(plan.ops()[i].output(), i);
  }
  size_t live_most = 0;
  for (int i = 0; i < int(plan.ops().size()); ++i) {
    size_t live = 0;
    for (int a = 0; a < int(lives.size()); ++a) {
      if (plan.external_index(a) >= 0 || lives[a].first > i || lives[a].last < i) continue;
      const size_t begin = plan.offset(a, Type::f32),
                   end = begin + plan.shape(a).count() * sizeof(float);
      CHECK(end <= plan.arena_bytes(Type::f32));
      live += end - begin;
      for (int b = 0; b < a; ++b) {
        if (plan.external_index(b) >= 0 || lives[b].first > i || lives[b].last < i) continue;
        const size_t other = plan.offset(b, Type::f32);
        CHECK(other >= end || other + plan.shape(b).count() * sizeof(float) <= begin);
      }
    }
    live_most = std::max(live_most, live);
  }
  // And little is wasted on the way.
  CHECK(plan.arena_bytes(Type::f32) <= live_most * 5 / 4);
}

}  // namespace deepcache

// The U-Net of `weights-tools synth --small` on the emulated GPUs against the CPU backend: the
// widths and heads of real models, so that a whole model meets the kernels that are meant for it.
// Prints which kernel served how much of the arithmetic.

#include <algorithm>
#include <map>

#include "compare.h"
#include "cuda/host/program.h"
#include "emulated.h"
#include "models/unet.h"

namespace deepcache::test {
namespace {

// weights-tools/configs.ts: SMALL_UNET. Heads of 40, 80 and 160 channels.
const char* const kSmall = R"({
  "in_channels": 4, "out_channels": 4, "layers_per_block": 2, "norm_num_groups": 32,
  "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
  "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
  "block_out_channels": [320, 640, 1280], "cross_attention_dim": 768, "attention_head_dim": 8
})";

// Two of its levels with one layer each, and heads of 64 channels as in SD 2 and SDXL.
const char* const kCut = R"({
  "in_channels": 4, "out_channels": 4, "layers_per_block": 1, "norm_num_groups": 32,
  "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
  "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
  "block_out_channels": [320, 640], "cross_attention_dim": 1024, "attention_head_dim": [5, 10]
})";

// The arithmetic of an op, in multiply-accumulates.
double macs(const Plan& plan, const Op& op) {
  if (op.kind == OpKind::conv) {
    const WeightSpec& weight = plan.weights()[op.conv.weight];
    return double(op.conv.y.shape.rows()) * weight.out * weight.in * weight.kernel_h *
           weight.kernel_w;
  }
  if (op.kind != OpKind::attention) return 0;
  const Attention& a = op.attention;
  return 2.0 * a.outer * a.inner * a.query.length * a.key.length * a.heads * a.head_width;
}

// Remembers which kernels served what.
class ReportingBackend : public cuda::CudaBackend {
 public:
  using CudaBackend::CudaBackend;
  std::unique_ptr<Program> compile(const Plan& plan, Weights& weights, Buffer& arena,
                                   std::vector<Binding> bindings) override {
    auto program = CudaBackend::compile(plan, weights, arena, std::move(bindings));
    const std::vector<std::string> kernels = program->kernels();
    for (size_t i = 0; i < kernels.size(); i++) {
      Share& share = shares_[kernels[i]];
      share.ops++;
      share.macs += macs(plan, plan.ops()[i]);
    }
    return program;
  }

  // No part of the arithmetic worth mentioning went to a kernel that is there for odd shapes, or
  // for older GPUs.
  void check_and_print(bool hopper) const {
    double all = 0, slow = 0;
    for (const auto& [name, share] : shares_) all += share.macs;
    for (const auto& [name, share] : shares_) {
      std::printf("    %5d ops %6.2f %% %s\n", share.ops, 100 * share.macs / all, name.c_str());
      const bool older = hopper && name.starts_with("matmul") && name.find("sm_90a") == name.npos;
      if (older || name.find("gathered") != std::string::npos) slow += share.macs;
    }
    CHECK(slow < 0.01 * all);
  }

 private:
  struct Share {
    int ops = 0;
    double macs = 0;
  };
  std::map<std::string, Share> shares_;
};

std::shared_ptr<WeightSource> synthetic(const UnetConfig& config) {
  std::vector<WeightSpec> specs;
  for (const Plan& plan : {plan_unet(config, {1, 4, 4, 1, 1}, {}), plan_unet_context(config, 1, 1),
                           plan_unet_time(config, 1, 1, 1)})
    specs.insert(specs.end(), plan.weights().begin(), plan.weights().end());
  return std::make_shared<SyntheticWeights>(synthetic_tensors(specs));
}

// A full call, then retrieve calls of the branches on another input.
void check_small(int device, ActivationType type, const char* json, int size,
                 const std::vector<int>& branches, double tolerance, bool fp8 = false) {
  const UnetConfig config = UnetConfig::parse(json);
  const auto weights = synthetic(config);
  const auto gpu = std::make_shared<ReportingBackend>(*deepcache_cuda_api(), device, type, fp8);
  Unet reference(config, weights,
                 std::shared_ptr(make_cpu_backend(1, fp8 ? Products::fp8 : Products::fp32)));
  Unet unet(config, weights, gpu);
  const int batch = 2, tokens = 77;
  const auto sample = numbers("sample", {batch, 4, size, size});
  const auto next = numbers("next", {batch, 4, size, size});
  const auto context = numbers("context", {batch, tokens, config.context_width});
  UnetForward request;
  request.batch = batch;
  request.height = request.width = size;
  request.sample = sample.data();
  request.timesteps = {601};
  request.conditions.context = context.data();
  request.conditions.context_length = tokens;
  request.features = branches;
  const auto run = [&](const std::string& what) {
    const auto expected = reference.forward(request, nullptr, nullptr);
    check_close(what, unet.forward(request, nullptr, nullptr), expected, tolerance);
  };
  run("full");
  request.features.clear();
  request.sample = next.data();
  request.timesteps = {581};
  for (const int branch : branches) {
    request.retrieve = branch;
    run("retrieve, branch " + std::to_string(branch));
  }
  gpu->check_and_print(device == kSm90 && !fp8);
}

constexpr ActivationType kFp16 = ActivationType::fp16, kBf16 = ActivationType::bf16;

}  // namespace

TEST(quick_small_sm80_fp16) {
  const Emulation emulation(11, emulator::Async::late);
  check_small(kSm80, kFp16, kCut, 8, {0}, 5e-3);
}
TEST(quick_small_sm90_fp16) {
  const Emulation emulation(12, emulator::Async::random);
  check_small(kSm90, kFp16, kCut, 8, {0}, 5e-3);
}

// Rounding to fp16 before it moves a value over the border between two codes now and then, by the
// distance of these: two backends' sums are soon as far apart as each is from fp32, 6e-2 to 8e-2.
TEST(all_small_sm89_fp8) {
  const Emulation emulation(17, emulator::Async::random);
  check_small(kSm89, kFp16, kCut, 8, {0}, 0.1, true);
}

TEST(all_small_sm90_fp8) {
  const Emulation emulation(18, emulator::Async::late);
  check_small(kSm90, kFp16, kCut, 8, {0}, 0.1, true);
}

TEST(all_small_sm80_fp16) {
  const Emulation emulation(13, emulator::Async::late);
  check_small(kSm80, kFp16, kSmall, 8, {0, 2, 5}, 5e-3);
}
TEST(all_small_sm90_fp16) {
  const Emulation emulation(14, emulator::Async::late, 2);
  check_small(kSm90, kFp16, kSmall, 8, {0, 2, 5}, 5e-3);
}
TEST(all_small_sm90_bf16) {
  const Emulation emulation(15, emulator::Async::random);
  check_small(kSm90, kBf16, kSmall, 8, {1}, 4e-2);
}
TEST(all_small_sm90_fp16_larger) {  // sequences of several tiles
  const Emulation emulation(16, emulator::Async::random);
  check_small(kSm90, kFp16, kCut, 24, {3}, 5e-3);
}

}  // namespace deepcache::test

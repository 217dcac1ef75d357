#include "cpu_ops.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "cpu_peak.h"
#include "runtime/backend.h"

namespace deepcache::bench {
namespace {

// Weights of whatever shape, all from one block of small numbers.
class AnyWeights : public WeightSource {
 public:
  explicit AnyWeights(const Plan& plan) {
    size_t most = 0;
    for (const WeightSpec& spec : plan.weights()) most = std::max(most, spec.count());
    values_.resize(most);
    for (size_t i = 0; i < most; i++) values_[i] = float(int(i * 2654435761u >> 24) - 128) * 1e-4f;
    for (const WeightSpec& spec : plan.weights())
      tensors_[spec.names[0]] = {Type::f32, spec.published_shape(0), values_.data(), spec.count()};
  }
  const SourceTensor* find(const std::string& name) const override { return &tensors_.at(name); }
  std::vector<std::string> names() const override { return {}; }
  std::string description() const override { return "benchmark weights"; }

 private:
  std::vector<float> values_;
  std::map<std::string, SourceTensor> tensors_;
};

struct OpBench {
  std::string name;
  std::function<Op(Plan&)> record;
};

WeightId weight(Plan& plan, Recipe recipe, int out, int in, int kernel = 1) {
  WeightSpec spec{recipe, {"w" + std::to_string(plan.weights().size())}, out, in, kernel, kernel};
  return plan.weight(spec);
}

OpBench conv(const std::string& name, Shape x, int c2, int out, int kernel, bool upsample = false) {
  return {name, [=](Plan& plan) {
            Conv op;
            op.x = plan.external("x", x);
            if (c2) op.x2 = plan.external("x2", {x.n, x.h, x.w, c2});
            const int factor = upsample ? 2 : 1;
            op.y = plan.external("y", {x.n, x.h * factor, x.w * factor, out});
            op.weight =
                weight(plan, upsample ? Recipe::upsample : Recipe::matrix, out, x.c + c2, kernel);
            op.bias = weight(plan, Recipe::vector, out, 1);
            op.kernel_h = op.kernel_w = kernel;
            op.pad_top = op.pad_left = kernel / 2;
            op.upsample = upsample;
            return Op(op);
          }};
}

OpBench linear(const std::string& name, int n, int rows, int in, int out, Activation activation) {
  return {name, [=](Plan& plan) {
            Conv op;
            const bool geglu = activation == Activation::geglu;
            op.x = plan.external("x", {n, 1, rows, in});
            op.y = plan.external("y", {n, 1, rows, out});
            op.weight =
                weight(plan, geglu ? Recipe::geglu : Recipe::matrix, geglu ? 2 * out : out, in);
            op.bias = weight(plan, Recipe::vector, geglu ? 2 * out : out, 1);
            op.activation = activation;
            return Op(op);
          }};
}

OpBench attention(const std::string& name, int n, int length, int keys, int heads, int width) {
  return {name, [=](Plan& plan) {
            Attention op;
            const int c = heads * width;
            op.q = plan.external("q", {n, 1, length, 3 * c});
            op.k = op.v = keys == length ? op.q : plan.external("kv", {n, 1, keys, 3 * c});
            op.y = plan.external("y", {n, 1, length, c});
            op.k_offset = c;
            op.v_offset = 2 * c;
            op.heads = heads;
            op.head_width = width;
            op.scale = 0.2f;
            op.outer = n;
            op.query = {length, 1, length, 0};
            op.key = {keys, 1, keys, 0};
            return Op(op);
          }};
}

OpBench group_norm(const std::string& name, Shape x) {
  return {name, [=](Plan& plan) {
            GroupNorm op;
            op.x = plan.external("x", x);
            op.y = plan.external("y", x);
            op.gamma = weight(plan, Recipe::vector, x.c, 1);
            op.beta = weight(plan, Recipe::vector, x.c, 1);
            op.silu = true;
            return Op(op);
          }};
}

OpBench layer_norm(const std::string& name, Shape x) {
  return {name, [=](Plan& plan) {
            LayerNorm op;
            op.x = plan.external("x", x);
            op.y = plan.external("y", x);
            op.gamma = weight(plan, Recipe::vector, x.c, 1);
            op.beta = weight(plan, Recipe::vector, x.c, 1);
            return Op(op);
          }};
}

std::vector<OpBench> benches() {
  return {
      conv("conv_in 4->320 64x64", {2, 64, 64, 4}, 0, 320, 3),
      conv("conv 3x3 320->320 64x64", {2, 64, 64, 320}, 0, 320, 3),
      conv("conv 3x3 640+320->320 64x64", {2, 64, 64, 640}, 320, 320, 3),
      conv("conv 3x3 640->640 32x32", {2, 32, 32, 640}, 0, 640, 3),
      conv("conv 3x3 1280->1280 16x16", {2, 16, 16, 1280}, 0, 1280, 3),
      conv("conv 3x3 1280->1280 8x8", {2, 8, 8, 1280}, 0, 1280, 3),
      conv("conv 3x3 1280+1280->1280 8x8", {2, 8, 8, 1280}, 1280, 1280, 3),
      conv("upsample 640->640 32x32", {2, 32, 32, 640}, 0, 640, 3, true),
      conv("upsample 1280->1280 8x8", {2, 8, 8, 1280}, 0, 1280, 3, true),
      conv("conv_out 320->4 64x64", {2, 64, 64, 320}, 0, 4, 3),
      linear("linear 320->320 4096", 2, 4096, 320, 320, Activation::none),
      linear("linear 320->960 4096", 2, 4096, 320, 960, Activation::none),
      linear("geglu 320->1280 4096", 2, 4096, 320, 1280, Activation::geglu),
      linear("linear 1280->320 4096", 2, 4096, 1280, 320, Activation::none),
      linear("geglu 640->2560 1024", 2, 1024, 640, 2560, Activation::geglu),
      linear("linear 1280->1280 256", 2, 256, 1280, 1280, Activation::none),
      linear("geglu 1280->5120 64", 2, 64, 1280, 5120, Activation::geglu),
      linear("time 1280->1280 1", 1, 1, 1280, 1280, Activation::silu),
      linear("clip 768->3072 77", 2, 77, 768, 3072, Activation::quick_gelu),
      attention("attention 4096 8x40", 2, 4096, 4096, 8, 40),
      attention("attention 1024 8x80", 2, 1024, 1024, 8, 80),
      attention("attention 256 8x160", 2, 256, 256, 8, 160),
      attention("attention 64 8x160", 2, 64, 64, 8, 160),
      attention("attention 4096x77 8x40", 2, 4096, 77, 8, 40),
      attention("attention 1024x77 8x80", 2, 1024, 77, 8, 80),
      attention("attention vae 4096 1x512", 1, 4096, 4096, 1, 512),
      group_norm("group_norm 320 64x64", {2, 64, 64, 320}),
      group_norm("group_norm 1280 16x16", {2, 16, 16, 1280}),
      layer_norm("layer_norm 320 4096", {2, 1, 4096, 320}),
      conv("vae conv 3x3 512->512 64x64", {1, 64, 64, 512}, 0, 512, 3),
      conv("vae conv 3x3 256->256 256x256", {1, 256, 256, 256}, 0, 256, 3),
      conv("vae conv 3x3 128->128 512x512", {1, 512, 512, 128}, 0, 128, 3),
      conv("vae conv_out 128->3 512x512", {1, 512, 512, 128}, 0, 3, 3),
  };
}

void time_op(const OpBench& bench, Backend& backend, double peak) {
  Plan plan;
  plan.add(bench.record(plan));
  plan.finish();
  Weights weights(std::make_shared<AnyWeights>(plan), backend);
  std::vector<std::unique_ptr<Buffer>> buffers;
  std::vector<Binding> bindings;
  for (const External& external : plan.externals()) {
    std::vector<float> values(plan.shape(external.tensor).count());
    for (size_t i = 0; i < values.size(); i++)
      values[i] = float(int(i * 2654435761u >> 24) - 128) / 64;
    buffers.push_back(backend.allocate(values.size() * sizeof(float)));
    buffers.back()->upload(values.data(), values.size() * sizeof(float));
    bindings.push_back({buffers.back().get(), 0});
  }
  const auto arena = backend.allocate(plan.arena_bytes());
  const auto program = backend.compile(plan, weights, *arena, bindings);
  using Clock = std::chrono::steady_clock;
  double best = 1e9, spent = 0;
  for (int runs = 0; runs < 3 || (spent < 0.4 && runs < 1000); runs++) {
    const auto start = Clock::now();
    program->run(0, nullptr, nullptr);
    const double time = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::min(best, time);
    spent += time;
  }
  const double gflops = 2e-9 * plan.executed_macs() / best;
  std::printf("%-32s %9.3f ms %8.1f GFLOP/s %5.1f %% of peak\n", bench.name.c_str(), best * 1e3,
              gflops, 100 * gflops / peak);
  std::fflush(stdout);
}

}  // namespace

void bench_cpu_ops(const std::string& filter, int threads) {
  const CpuPeak peak = measure_cpu_peak(threads);
  std::printf("%s, %d threads: fp32 peak %.1f GFLOP/s\n", peak.isa, peak.threads, peak.gflops);
  const auto backend = make_cpu_backend(threads);
  for (const OpBench& bench : benches())
    if (bench.name.find(filter) != std::string::npos) time_op(bench, *backend, peak.gflops);
}

}  // namespace deepcache::bench

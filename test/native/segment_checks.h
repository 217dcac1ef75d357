#pragma once

// Programs whose segments come from several networks, on any backend.

#include <map>
#include <string>
#include <vector>

#include "models/unet_plan.h"
#include "models/weight_plans.h"
#include "runtime/sampler.h"
#include "runtime/synth.h"
#include "test.h"
#include "test/ops/op_cases.h"

namespace deepcache::test {

using PortBuffers = std::map<Port, std::unique_ptr<Buffer>>;

inline std::vector<Binding> bound_to(const Plan& plan, const PortBuffers& buffers) {
  std::vector<Binding> out;
  for (const External& external : plan.externals())
    out.push_back({buffers.at(external.port).get()});
  return out;
}

// Small whole numbers, which fp16 holds.
inline std::vector<float> small_numbers(size_t count, int first) {
  std::vector<float> out(count);
  for (size_t i = 0; i < count; i++) out[i] = float((int(i) * 7 + first) % 11 - 5);
  return out;
}

// A network that adds a residual to a skip, 3 * sample of another network: between that network and
// the cached feature lies nothing but ports.
inline void check_residual_port(Backend& backend) {
  const Shape shape{1, 2, 3, 4};
  const size_t count = shape.count(), bytes = count * sizeof(float);
  const auto sum = [](Plan& plan, Tensor x, float a, Tensor x2, float b) {
    Elementwise op;
    op.x = x;
    op.a = a;
    op.x2 = x2;
    op.b = b;
    op.y = plan.temporary(x.shape);
    plan.add(op);
    return op.y;
  };
  Plan main, other;
  const Tensor skip = sum(main, main.external(PortKind::sample, shape), 2, {}, 0);
  main.mark("prefix");
  const Tensor residual = main.external({PortKind::residual, 0}, shape, Type::activation);
  const Tensor feature = sum(main, skip, 1, residual, 1);
  main.mark("suffix");
  main.make_external(feature, {PortKind::feature, 0}, Type::activation);
  main.make_external(sum(main, feature, 1, skip, 0.5f), PortKind::out);
  main.finish();
  other.make_external(sum(other, other.external(PortKind::sample, shape), 3, {}, 0),
                      {PortKind::residual, 0}, Type::activation);
  other.finish();

  PortBuffers buffers;
  for (const External& external : main.externals())
    buffers[external.port] =
        backend.allocate(main.external_bytes(external, backend.activation_type()));
  Weights weights(OpBuilder(1).source(), backend);
  const auto arena = backend.allocate(backend.arena_bytes(main)),
             none = backend.allocate(backend.arena_bytes(other));
  const auto first = backend.compile(main, weights, *arena, bound_to(main, buffers)),
             second = backend.compile(other, weights, *none, bound_to(other, buffers));
  const OpRange prefix{0, main.find_mark("prefix").op},
      deep{prefix.last, main.find_mark("suffix").op}, suffix{deep.last, main.all().last};
  const auto run = [&](const Segments& segments, const std::vector<float>& sample) {
    buffers.at(PortKind::sample)->upload(sample.data(), bytes);
    run_segments(segments, 0, nullptr, nullptr);
    std::vector<float> out(count);
    buffers.at(PortKind::out)->download(out.data(), bytes);
    return out;
  };
  const std::vector<float> old = small_numbers(count, 3), now = small_numbers(count, 8);
  const Segments full = {{first.get(), prefix},
                         {second.get(), other.all()},
                         {first.get(), deep},
                         {first.get(), suffix}};
  const std::vector<float> all = run(full, old);
  const std::vector<float> retrieved = run({{first.get(), prefix}, {first.get(), suffix}}, now);
  for (size_t i = 0; i < count; i++) {
    CHECK_EQ(all[i], 2 * old[i] + 3 * old[i] + old[i]);
    CHECK_EQ(retrieved[i], 5 * old[i] + now[i]);  // neither the residual nor the deep part anew
  }
}

// A U-Net's weights; those of `chosen` layers are another U-Net's.
class MixedWeights : public WeightSource {
 public:
  MixedWeights(const UnetConfig& config, std::function<bool(const std::string&)> chosen) {
    std::vector<WeightSpec> specs;
    for (const Plan& plan : weight_plans(config))
      specs.insert(specs.end(), plan.weights().begin(), plan.weights().end());
    for (const SyntheticTensor& tensor : synthetic_tensors(specs)) {
      // Of names that say what kind of weight it is.
      SyntheticTensor named = tensor;
      if (chosen(tensor.name)) named.name = "other." + tensor.name;
      std::vector<float>& values = values_[tensor.name];
      values.resize(tensor.count());
      synthetic_values(named, 0, values.size(), values.data());
      tensors_[tensor.name] = {Type::f32, tensor.shape, values.data(), values.size()};
    }
  }
  const SourceTensor* find(const std::string& name) const override {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : &found->second;
  }
  std::vector<std::string> names() const override { return {}; }
  std::string description() const override { return "mixed weights"; }

 private:
  std::map<std::string, std::vector<float>> values_;
  std::map<std::string, SourceTensor> tensors_;
};

// The prefix and deep part of one U-Net and the suffix of another, against one U-Net with the
// weights of both; as a pass, and as rows of a run.
inline void check_two_unets(Backend& backend) {
  const UnetConfig config = UnetConfig::parse(R"({
    "in_channels": 4, "out_channels": 4, "norm_num_groups": 4,
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    "block_out_channels": [8, 16], "layers_per_block": 1,
    "cross_attention_dim": 12, "attention_head_dim": 2
  })");
  constexpr int kBranch = 1, kSteps = 2, kPixels = 64, kChannels = 4;  // the last up block
  const Plan plan = plan_unet(config, {1, 8, 8, 3, 1}, {kBranch});
  const OpRange suffix = retrieve_segments(plan, kBranch)[1];
  const Type type = backend.activation_type();

  PortBuffers buffers;
  for (const External& external : plan.externals()) {
    const size_t count = plan.shape(external.tensor).count() * (external.stepped ? kSteps : 1);
    buffers[external.port] = backend.allocate(count * bytes_of(external.type, type));
    if (external.type != Type::f32) continue;  // contexts stay zero
    const std::vector<float> values = small_numbers(count, 1);
    buffers[external.port]->upload(values.data(), count * sizeof(float));
  }
  const auto arena = backend.allocate(backend.arena_bytes(plan)),
             other_arena = backend.allocate(backend.arena_bytes(plan));
  const auto weights = [&](const std::function<bool(const std::string&)>& chosen) {
    return Weights(std::make_shared<MixedWeights>(config, chosen), backend);
  };
  Weights a = weights([](const std::string&) { return false; });
  Weights b = weights([](const std::string&) { return true; });
  Weights both = weights([](const std::string& name) {
    return name.starts_with("up_blocks.1.") || name.starts_with("conv_norm_out") ||
           name.starts_with("conv_out");
  });
  const auto bindings = bound_to(plan, buffers);
  const auto first = backend.compile(plan, a, *arena, bindings),
             second = backend.compile(plan, b, *arena, bindings),
             whole = backend.compile(plan, both, *other_arena, bindings);
  const Segments in_turn = {{first.get(), {0, suffix.first}}, {second.get(), suffix}};

  const auto out_of = [&](const Segments& segments) {
    run_segments(segments, 1, nullptr, nullptr);
    std::vector<float> out(kPixels * kChannels);
    buffers.at(PortKind::out)->download(out.data(), out.size() * sizeof(float));
    return out;
  };
  const std::vector<float> expected = out_of(whole->whole());
  CHECK(out_of(in_turn) == expected);
  CHECK(out_of(first->whole()) != expected);
  CHECK(out_of(second->whole()) != expected);

  StepTable table;
  table.programs = {{}};
  table.values = {1, 0, 0.5f};
  StepRow row;
  row.input_scale = row.x0_x = {0, 0};
  row.x0_m = {1, 0};
  table.assign(row, Slot::x, {{Slot::x, {0, 0}}, {Slot::m, {2, 0}}});
  table.rows.assign(kSteps, row);
  const auto after_rows = [&](const Segments& segments) {
    const std::vector<float> latents = small_numbers(kPixels * kChannels, 4);
    const auto x = backend.allocate(latents.size() * sizeof(float)),
               m = backend.allocate(x->bytes()), x0 = backend.allocate(x->bytes());
    x->upload(latents.data(), x->bytes());
    SamplerState state;
    state.pixels = kPixels;
    state.channels = state.input_channels = kChannels;
    state.x = x.get();
    state.m = m.get();
    state.x0 = x0.get();
    state.model_input = buffers.at(PortKind::sample).get();
    state.model_output = buffers.at(PortKind::out).get();
    const auto loop = backend.make_loop();
    const std::vector<Segments> programs = {segments};
    TableRun(*loop, table, state, programs, {nullptr, [](const StepReport&) {}}).run(nullptr);
    std::vector<float> out(latents.size());
    x->download(out.data(), x->bytes());
    return out;
  };
  CHECK(after_rows(in_turn) == after_rows(whole->whole()));
  CHECK(after_rows(in_turn) != after_rows(first->whole()));
}

}  // namespace deepcache::test

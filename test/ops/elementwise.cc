#include <cmath>

#include "op_cases.h"

namespace deepcache::test {
namespace {

// Slopes below zero, of all values or of each channel; a blend by a mask of rows.
OpCase leaky_case(const std::string& name, float slope, bool each, bool blend) {
  return {"elementwise_" + name, [=](OpBuilder& b) {
            Elementwise op;
            op.x = b.input({2, 5, 7, 11}, 2);
            if (blend) op.x2 = b.input({2, 5, 7, 11}, 2);
            if (blend) op.mask = b.input({2, 5, 7, 1});
            op.y = b.output({2, 5, 7, 11});
            op.a = 0.7f;
            op.offset = 0.25f;
            op.activation = blend ? Activation::tanh : Activation::leaky_relu;
            op.slope = slope;
            if (each) op.slopes = b.vector(11);
            return Op(op);
          }};
}

OpCase elementwise_case(const std::string& name, Activation activation, int rows2, double size = 1,
                        int repeat = 1, int samples = 0, int modulations = 0) {
  return {"elementwise_" + name, [=](OpBuilder& b) {
            Elementwise op;
            op.x = b.input({4, 1, 33, 37}, size);
            if (rows2) op.x2 = b.input({1, 1, rows2, 37}, size);
            if (samples) op.scale = b.input({samples, 1, 1, 3});
            op.scale_offset = samples ? 2 : 0;
            op.y = b.output({4, 1, 33, 37});
            op.a = 0.8f;
            op.b = -1.25f;
            if (modulations) op.modulation = b.input({modulations, 1, 1, 100});
            op.modulation_offset = modulations ? 9 : 0;
            op.repeat = repeat;
            op.activation = activation;
            return Op(op);
          }};
}

}  // namespace

void reference(const Elementwise& op, ReferenceState& state) {
  const auto &x = state.get(op.x), &x2 = state.get(op.x2), &scale = state.get(op.scale),
             &modulation = state.get(op.modulation);
  auto& out = state.output(op.y);
  const size_t width = op.x.shape.c, rows2 = op.x2 ? op.x2.shape.rows() : 1;
  const size_t part = out.size() / (op.scale ? op.scale.shape.rows() : 1);
  for (size_t i = 0; i < out.size(); i++) {
    const size_t row2 = i / width / op.repeat % rows2;
    const double share = op.mask ? state.get(op.mask)[i / width] : 1;
    const double factor = op.scale ? scale[i / part * op.scale.shape.c + op.scale_offset] : 1.0;
    const double share2 = (op.mask ? 1 - share : 1) * factor;
    const double added = op.x2 ? share2 * op.b * x2[row2 * width + i % width] : 0;
    double v = share * op.a * x[i] + added + op.offset;
    if (op.modulation) {
      const size_t sample = i / (out.size() / op.modulation.shape.n);
      const size_t gain = sample * op.modulation.shape.c + op.modulation_offset + i % width;
      v = (1 + modulation[gain]) * v + modulation[gain + width];
    }
    if (op.activation == Activation::leaky_relu)
      out[i] = v < 0 ? v * (op.slopes < 0 ? op.slope : state.parameter(op.slopes)[i % width]) : v;
    else if (op.activation == Activation::tanh)
      out[i] = std::tanh(v);
    else
      out[i] = activate(op.activation, v);
  }
}

std::vector<float> gelu_of(Backend& backend, const std::vector<float>& values) {
  OpBuilder builder(1, false);
  Plan& plan = builder.plan;
  Elementwise op;
  op.x = plan.external(PortKind::sample, {1, 1, 1, int(values.size())});
  op.y = plan.external(PortKind::out, op.x.shape);
  op.activation = Activation::gelu;
  plan.add(op);
  plan.finish();
  Weights weights(builder.source(), backend);
  const size_t bytes = values.size() * sizeof(float);
  const auto x = backend.allocate(bytes), y = backend.allocate(bytes);
  const auto arena = backend.allocate(backend.arena_bytes(plan));
  x->upload(values.data(), bytes);
  backend.compile(plan, weights, *arena, {{x.get()}, {y.get()}})->run(0, nullptr, nullptr);
  backend.synchronize();
  std::vector<float> out(values.size());
  y->download(out.data(), bytes);
  return out;
}

std::vector<OpCase> elementwise_cases() {
  return {
      elementwise_case("scale", Activation::none, 0),
      elementwise_case("sum", Activation::none, 4 * 33),
      elementwise_case("repeated", Activation::silu, 33),
      elementwise_case("spread", Activation::none, 6, 1, 11),
      elementwise_case("spread_once", Activation::none, 12, 1, 11),
      elementwise_case("scaled", Activation::none, 4 * 33, 1, 1, 4),
      elementwise_case("scaled_halves", Activation::silu, 33, 1, 1, 2),
      elementwise_case("scaled_spread", Activation::none, 6, 1, 11, 4),
      elementwise_case("silu", Activation::silu, 0, 30),
      elementwise_case("gelu", Activation::gelu, 0, 8),
      elementwise_case("quick_gelu", Activation::quick_gelu, 1, 100),
      elementwise_case("mish", Activation::mish, 0, 40),
      elementwise_case("modulated", Activation::gelu, 0, 1, 1, 0, 4),
      elementwise_case("modulated_alike", Activation::silu, 33, 1, 1, 0, 1),
      leaky_case("relu", 0, false, false),
      leaky_case("leaky", 0.2f, false, false),
      leaky_case("slopes", 0, true, false),
      leaky_case("blend_tanh", 0, false, true),
  };
}

}  // namespace deepcache::test

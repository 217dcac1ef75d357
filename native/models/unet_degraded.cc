#include "unet_degraded.h"

#include <cmath>

#include "../runtime/error.h"
#include "unet_blocks.h"
#include "unet_session.h"

namespace deepcache {

const UnetTransformerBlock& mid_self_attention(const UnetLayout& layout) {
  for (const UnetUnit& unit : layout.mid) {
    if (!unit.attention || unit.attention->kind != UnetAttention::transformer) continue;
    const auto& blocks = unit.attention->blocks;
    if (!blocks.empty() && blocks[0].self_context < 0) return blocks[0];
    break;
  }
  throw Error(ErrorCode::kUnsupported,
              "self-attention guidance needs a U-Net whose mid block attends to itself in a "
              "transformer");
}

Shape attention_mass_shape(const UnetConfig& config, const UnetShape& shape) {
  Shape out = unet_level_shape(config, shape, config.levels() - 1);
  out.n = shape.batch / shape.outputs;
  out.c = config.mid.heads;
  return out;
}

void UnetBlocks::leave_attention_mass(Tensor qkv, int heads) {
  AttentionMass op;
  op.q = op.k = qkv;
  op.heads = heads;
  op.head_width = qkv.shape.c / 3 / heads;
  op.k_offset = qkv.shape.c / 3;
  op.scale = 1 / std::sqrt(float(op.head_width));
  op.y = plan().external(PortKind::attention_mass, attention_mass_shape(config_, shape_));
  plan().add(op);
}

Plan plan_degraded(const UnetConfig& config, const UnetShape& shape) {
  if (config.takes_videos() || shape.frames > 1)
    throw Error(ErrorCode::kUnsupported, "self-attention guidance is for U-Nets of pictures");
  mid_self_attention(UnetLayout(config));
  const int batch = shape.batch / shape.outputs;
  const Shape in{batch, shape.height, shape.width, config.in_channels};
  Plan plan;
  MaskedBlur op;
  op.x = plan.external(PortKind::sample, in);
  op.x2 = plan.external(PortKind::out, {batch, shape.height, shape.width, config.out_channels});
  op.mass = plan.external(PortKind::attention_mass, attention_mass_shape(config, shape));
  op.factors = plan.external(PortKind::degrading, {batch, 1, 1, 3}, Type::f32, true);
  op.y = plan.external(PortKind::degraded, in);
  plan.add(op);
  plan.finish();
  return plan;
}

// The clean latents are x0.x * x + x0.m * m, of which x holds `signal`; the model is given
// inputScale * x.
std::vector<float> degrading_factors(const StepTable& table, int batch) {
  std::vector<float> out;
  for (const StepRow& row : table.rows)
    for (int sample = 0; row.calls() && sample < batch; ++sample) {
      const double scale = double(table.value(row.input_scale, sample));
      const bool degrades = row.has_signal && scale != 0;
      const auto of = [&](Coefficient c) { return double(table.value(c, sample)); };
      out.push_back(degrades ? float(of(row.x0_x) / scale) : 0);
      out.push_back(degrades ? float(of(row.x0_m)) : 0);
      out.push_back(degrades ? float(of(row.signal) * scale) : 0);
    }
  return out;
}

void UnetSession::set_degrading(const std::vector<float>& factors) {
  if (!shape_.extras.degrades) return;
  buffers_.at(PortKind::degrading)->upload(factors.data(), factors.size() * sizeof(float));
}

void UnetSession::append_degrading(Segments& out) {
  if (!degrade_) {
    const Plan plan = plan_degraded(unet_.config(), shape_);
    const OutputRange first{0, 1}, last{shape_.outputs - 1, 1};
    Bindings bound = bindings(plan, first);
    Binding input = bound.at(PortKind::sample);
    input.offset = sample().bytes() / size_t(shape_.outputs) * size_t(last.first);
    bound[PortKind::degraded] = input;
    degrade_ = unet_.compile(plan, arena(), bound);
    unet_.count_program();
  }
  for (const Segment& segment : degrade_->whole()) out.push_back(segment);
}

}  // namespace deepcache

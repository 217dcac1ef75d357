#include "runs.h"

#include <cmath>

namespace deepcache::bench {
namespace {

constexpr float kGuidance = 5;

// The share of signal at a timestep: Stable Diffusion's scaled_linear betas, from 0.00085 to 0.012.
double alpha_cumprod(int timestep) {
  double product = 1;
  for (int i = 0; i <= timestep; i++) {
    const double root = std::sqrt(0.00085) + (std::sqrt(0.012) - std::sqrt(0.00085)) * i / 999;
    product *= 1 - root * root;
  }
  return product;
}

}  // namespace

DenoiseInputs::DenoiseInputs(const UnetConfig& config, int images, int height, int width,
                             int tokens)
    : images_(images),
      height_(height),
      width_(width),
      inputs_(config, 2 * images, height, width, tokens) {}

UnetDenoise DenoiseInputs::run(int steps, int interval, int branch) const {
  UnetDenoise out;
  out.batch = images_;
  out.outputs = 2;
  out.height = height_;
  out.width = width_;
  out.latents = inputs_.sample();
  out.conditions = inputs_.conditions();
  StepTable& table = out.table;
  table.programs = {{ProgramKey::Kind::full}};
  if (interval > 1) table.programs.push_back({ProgramKey::Kind::retrieve, branch});
  const auto number = [&](double v) {
    table.values.push_back(float(v));
    return Coefficient{uint32_t(table.values.size() - 1), 0};
  };
  for (int i = 0; i < steps; i++) {
    const int timestep = 1000 * (steps - i) / steps - 1;
    const double a = alpha_cumprod(timestep), next = alpha_cumprod(timestep - 1000 / steps);
    StepRow row;
    row.program = i % interval ? 1 : 0;
    row.timestep = number(timestep);
    row.input_scale = number(1);
    row.guided = true;
    row.guidance_scale = number(kGuidance);
    row.guidance_rescale = number(0);
    row.x0_x = number(1 / std::sqrt(a));
    row.x0_m = number(-std::sqrt(1 - a) / std::sqrt(a));
    table.assign(row, Slot::x,
                 {{Slot::x0, number(std::sqrt(next))}, {Slot::m, number(std::sqrt(1 - next))}});
    table.rows.push_back(row);
  }
  return out;
}

}  // namespace deepcache::bench

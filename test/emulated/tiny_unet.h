#pragma once

// The fixture's tiny U-Net on the emulated GPU and on the CPU, and a run of it.

#include <fstream>
#include <functional>
#include <iterator>

#include "compare.h"
#include "models/unet.h"
#include "runtime/stored_weights.h"

namespace deepcache::test {

inline const std::string kFolder = "test/fixtures/sd15-tiny/";

inline std::string read_text(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw Failure("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Unets {
  UnetConfig config = UnetConfig::parse(read_text(kFolder + "unet/config.json"));
  Unet reference{config, source(), cpu()};
  std::shared_ptr<Backend> backend;
  Unet unet;

  explicit Unets(std::shared_ptr<Backend> gpu) : backend(gpu), unet(config, source(), gpu) {}
  static std::shared_ptr<WeightSource> source() {
    return open_weights({kFolder + "unet/diffusion_pytorch_model.safetensors"});
  }
};

// Euler-like steps with guidance; every other one retrieves.
inline UnetRun denoise(Unet& unet, int branch, int steps = 6,
                       const std::function<void(const UnetProgress&)>& on_step = {}) {
  const int height = 8, width = 8, tokens = 5, channels = unet.config().in_channels;
  const auto latents = numbers("latents", {1, channels, height, width});
  const auto context = numbers("prompts", {2, tokens, unet.config().context_width});
  UnetDenoise request;
  request.batch = 1;
  request.outputs = 2;
  request.height = height;
  request.width = width;
  request.latents = latents.data();
  request.conditions.context = context.data();
  request.conditions.context_length = tokens;
  StepTable& table = request.table;
  table.programs = {{ProgramKey::Kind::full}, {ProgramKey::Kind::retrieve, branch}};
  const auto number = [&](float v) {
    table.values.push_back(v);
    return Coefficient{uint32_t(table.values.size() - 1), 0};
  };
  for (int i = 0; i < steps; i++) {
    StepRow row;
    row.program = i % 2;
    row.timestep = number(float(951 - 150 * i));
    row.input_scale = number(1);
    row.guided = true;
    row.guidance_scale = number(4);
    row.guidance_rescale = number(0);
    row.x0_x = number(1);
    row.x0_m = number(-1);
    table.assign(row, Slot::x, {{Slot::x, number(0.98f)}, {Slot::m, number(-0.15f)}});
    table.rows.push_back(row);
  }
  return unet.denoise(
      request, nullptr, on_step ? on_step : [](const UnetProgress&) {});
}

}  // namespace deepcache::test

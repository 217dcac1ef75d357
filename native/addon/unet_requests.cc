#include "unet_requests.h"

#include <algorithm>
#include <string>

#include "classes.h"
#include "frame_windows.h"
#include "noise_draws.h"
#include "runtime/error.h"
#include "table.h"

namespace deepcache::addon {
namespace {

constexpr int kMaxBatch = 1024;
constexpr int kMaxSide = 8192;  // latent pixels

struct Size {
  size_t height, width;
};

Size parse_size(const Argument& in, const UnetConfig& config) {
  const int64_t height = in["height"].integer(1, kMaxSide),
                width = in["width"].integer(1, kMaxSide);
  config.check_size(int(height), int(width));
  return {size_t(height), size_t(width)};
}

// `frames` of the request, a divisor of `samples`; 1 when it is left out.
int parse_frames(const Argument& in, size_t samples) {
  const Argument frames = in["frames"];
  if (!frames.given()) return 1;
  const int count = int(frames.integer(1, kMaxBatch));
  if (samples % size_t(count))
    frames.fail("a divisor of the batch (" + std::to_string(samples) + ")", std::to_string(count));
  return count;
}

bool parse_old_contexts(const Argument& in, const UnetConditions& conditions) {
  const Argument old = in["oldContexts"];
  if (!old.given() || !old.boolean()) return false;
  if (conditions.context_length != 1)
    throw Error(ErrorCode::kInvalidArgument, old.name() + " is for contexts of one token");
  return true;
}

// An array that the request may leave out; null then.
const float* parse_optional(const Argument& in, std::initializer_list<size_t> shape,
                            Floats& array) {
  if (!in.given()) return nullptr;
  array = in.floats(shape);
  return array.data();
}

int parse_every(const Argument& in) { return in.given() ? int(in.integer(1, 1 << 30)) : 0; }

}  // namespace

std::shared_ptr<const ForwardInputs> parse_forward(const Argument& in, const UnetConfig& config) {
  auto inputs = std::make_shared<ForwardInputs>();
  UnetForward& out = inputs->request;
  const Size size = parse_size(in, config);
  out.batch = int(in["batch"].integer(1, kMaxBatch));
  out.height = int(size.height);
  out.width = int(size.width);
  const size_t n = size_t(out.batch);
  inputs->sample = in["sample"].floats({n, size_t(config.in_channels), size.height, size.width});
  out.sample = inputs->sample.data();

  const Argument timesteps = in["timesteps"];
  for (const Argument& timestep : timesteps.elements(n))
    out.timesteps.push_back(float(timestep.number()));
  if (out.timesteps.size() != 1 && out.timesteps.size() != n)
    timesteps.fail("an array of 1 or batch (" + std::to_string(n) + ") numbers",
                   std::to_string(out.timesteps.size()));
  out.frames = parse_frames(in, n);
  out.windows = parse_frame_windows(in["frameWindows"], out.frames);
  out.conditions = parse_conditions(in, config, config.takes_videos() ? n / size_t(out.frames) : n,
                                    inputs->conditions);
  out.old_contexts = parse_old_contexts(in, out.conditions);

  const int last_branch = config.branches() - 1;
  const Argument features = in["features"], retrieve = in["retrieve"], taps = in["taps"];
  if (features.given()) out.features = features.integers(size_t(config.branches()), 0, last_branch);
  if (retrieve.given()) {
    if (!out.features.empty())
      throw Error(ErrorCode::kInvalidArgument,
                  features.name() + " and " + retrieve.name() +
                      " exclude each other: only full passes keep features");
    out.retrieve = int(retrieve.integer(0, last_branch));
  }
  inputs->taps = taps.given() && taps.boolean();
  const UnetShape shape{.batch = out.batch, .height = out.height, .width = out.width};
  if (!config.control) {
    out.control = parse_control(in, config, shape, out.batch, 1, inputs->control);
    return inputs;
  }
  for (const Argument& other : {features, retrieve, taps})
    if (other.given())
      throw Error(ErrorCode::kInvalidArgument,
                  other.name() + " must be left out: this is a ControlNet");
  inputs->own = parse_pictures(in, config, shape, out.batch, inputs->control);
  if (inputs->own.images != out.batch)
    in["images"].fail("of " + std::to_string(out.batch) + " pictures, one for each sample",
                      std::to_string(inputs->own.images));
  return inputs;
}

std::shared_ptr<const DenoiseInputs> parse_denoise(const Argument& in, const UnetConfig& config) {
  if (config.control)
    throw Error(ErrorCode::kUnsupported, "denoise: a ControlNet denoises nothing by itself");
  if (config.in_channels < config.out_channels)
    throw Error(ErrorCode::kUnsupported,
                "denoise: this U-Net has more output channels than input channels");
  auto inputs = std::make_shared<DenoiseInputs>();
  UnetDenoise& out = inputs->request;
  const Size size = parse_size(in, config);
  out.batch = int(in["batch"].integer(1, kMaxBatch));
  out.outputs = int(in["outputs"].integer(1, kMaxOutputs));
  out.height = int(size.height);
  out.width = int(size.width);
  out.table = parse_table(in["table"], out.batch);
  const size_t batch = size_t(out.batch), outputs = size_t(out.outputs);
  const size_t channels = size_t(config.out_channels);
  const bool blends = std::ranges::any_of(out.table.rows, &StepRow::blended);
  const bool blends_initial = std::ranges::any_of(
      out.table.rows, [](const StepRow& row) { return row.blended && !row.blends_noise; });

  inputs->latents = in["latents"].floats({batch, channels, size.height, size.width});
  out.latents = inputs->latents.data();
  out.frames = parse_frames(in, batch);
  out.windows = parse_frame_windows(in["frameWindows"], out.frames);
  out.conditions = parse_conditions(
      in, config, outputs * (config.takes_videos() ? batch / size_t(out.frames) : batch),
      inputs->conditions);
  out.old_contexts = parse_old_contexts(in, out.conditions);
  const Argument slots = in["slots"];
  for (int i = 0; slots.given() && i < kHistorySlots; ++i) {
    const Argument slot = slots[("s" + std::to_string(i)).c_str()];
    if (slot.given())
      out.history[size_t(i)] = parse_optional(slot, {batch, channels, size.height, size.width},
                                              inputs->history[size_t(i)]);
  }
  if (const Argument noise = in["noise"]; noise.given()) {
    // A video of motion modules is drawn as a whole, [channels, frames, h, w].
    const size_t frames = config.motion ? size_t(out.frames) : 1;
    parse_noise(noise, {batch / frames, channels, frames, size.height * size.width}, out);
  }

  const Argument constant = in["constant"];
  const size_t extra = size_t(config.in_channels) - channels;
  if (extra == 0 && constant.given())
    throw Error(ErrorCode::kInvalidArgument,
                constant.name() + " must be left out: this U-Net takes latents only");
  if (extra > 0) {
    inputs->constant = constant.floats({outputs * batch, extra, size.height, size.width});
    out.constant = inputs->constant.data();
  }
  const Argument mask = in["mask"], init = in["init"], init_noise = in["initNoise"];
  for (const Argument& array : {mask, init})
    if (blends && !array.given()) array.fail("given: the table has rows with a blend");
  if (blends_initial && !init_noise.given())
    init_noise.fail("given: the table has rows with a blend of it");
  out.mask = parse_optional(mask, {batch, 1, size.height, size.width}, inputs->mask);
  out.init = parse_optional(init, {batch, channels, size.height, size.width}, inputs->init);
  out.init_noise =
      parse_optional(init_noise, {batch, channels, size.height, size.width}, inputs->init_noise);
  const UnetShape shape{.batch = out.batch, .height = out.height, .width = out.width};
  out.control =
      parse_control(in, config, shape, out.batch, size_t(out.table.calls()), inputs->control);
  for (const ProgramKey& key : out.table.programs)
    if (key.networks >> out.control.networks.size())
      throw Error(ErrorCode::kInvalidArgument,
                  in["table"].name() + " names ControlNets that the run does not have");
  inputs->preview_every = parse_every(in["previewEvery"]);
  inputs->latents_every = parse_every(in["latentsEvery"]);
  if (const Argument join = in["join"]; join.given()) {
    inputs->joins = true;
    if (join.value().IsNumber())
      inputs->name = int(join.integer(1, kLastName));
    else
      inputs->joins = join.boolean();
  }
  out.reads = [&own = *inputs](int row) {
    return own.is_due(own.preview_every, row) || own.is_due(own.latents_every, row);
  };
  return inputs;
}

}  // namespace deepcache::addon

#include "unet_passes.h"

#include <algorithm>

#include "models/weight_plans.h"

namespace deepcache::launches {
namespace {

constexpr int kSteps = 16;

UnetConfig with_plain_names(UnetConfig config) {
  config.naming = {};
  return config;
}

int time_ids_of(const UnetConfig& config) {
  if (config.video) return config.some_time_ids();
  return config.addition_input_width - 6 * config.addition_time_width == 1280 ? 6 : 5;
}

// A table that asks for everything: guidance with its rescaling, thresholds, rows that may be
// skipped, and rows without a program.
StepTable table_of(const std::vector<ProgramKey>& programs, bool guided) {
  StepTable table;
  table.programs = programs;
  table.values = {1, 0.5f};
  const Coefficient one{0, 0}, half{1, 0};
  const auto add = [&](int program) {
    StepRow row;
    row.program = program;
    row.timestep = row.input_scale = row.x0_x = row.x0_m = one;
    row.guided = guided && program != kNoProgram && table.halves(program) == Halves::all;
    row.guidance_scale = row.guidance_rescale = half;
    row.limit = StepRow::Limit::threshold;
    row.threshold_ratio = 0.5f;
    row.threshold_max = 1;
    if (program == kNoProgram) table.predict(row, {{Slot::m, one}});
    table.assign(row, Slot::x, {{Slot::x0, half}, {Slot::m, half}});
    table.rows.push_back(row);
  };
  for (size_t i = 0; i < programs.size(); i++) add(int(i));
  add(kNoProgram);
  table.rows[0].max_skips = 1;
  table.rows[0].instead = 1;
  table.rows[0].skip_below = 0.1f;
  return table;
}

}  // namespace

UnetPasses::UnetPasses(UnetConfig config, std::shared_ptr<DryBackend> backend, bool guided)
    : guided_(guided),
      unet_(with_plain_names(config), weights_without_values(weight_plans(config)),
            std::static_pointer_cast<Backend>(backend)),
      backend_(std::move(backend)) {}

void UnetPasses::run(const Size& size, bool deep) {
  const int halves = guided_ ? 2 : 1, last = unet_.config().branches() - 1;
  UnetShape shape;
  shape.outputs = halves;
  shape.batch = halves * size.images * size.frames;
  shape.height = size.height;
  shape.width = size.width;
  shape.context_length = size.tokens;
  shape.frames = size.frames;
  unet_.config().check_size(size.height, size.width);
  UnetSession session(unet_, shape, kSteps,
                      deep ? std::vector<int>{0, last / 2, last} : std::vector<int>{0});
  if (conditioned_.insert({shape.batch, size.frames, size.tokens}).second)
    session.condition(conditions(shape), std::vector<float>(kSteps, 1.0f), {}, nullptr, nullptr);
  loop(session, halves);
}

UnetConditions UnetPasses::conditions(const UnetShape& shape) {
  const UnetConfig& config = unet_.config();
  const int samples = shape.batch / shape.samples_of_condition(config);
  UnetConditions out;
  out.context_length = shape.context_length;
  size_t most = size_t(samples) * shape.context_length * config.text_width();
  if (config.has_time_ids()) {
    out.time_ids_count = time_ids_of(config);
    most = std::max(most, size_t(samples) * config.addition_input_width);
  }
  if (zeros_.size() < most) zeros_.resize(most);
  out.context = out.text_embeds = out.time_ids = zeros_.data();
  return out;
}

void UnetPasses::loop(UnetSession& session, int halves) {
  const UnetShape& shape = session.shape();
  std::vector<ProgramKey> keys;
  for (const Halves which : {Halves::all, Halves::conditional}) {
    if (which != Halves::all && halves == 1) continue;
    keys.push_back({ProgramKey::Kind::full, -1, which});
    for (const int branch : session.features())
      keys.push_back({ProgramKey::Kind::retrieve, branch, which});
  }
  std::vector<Segments> programs;
  for (const ProgramKey& key : keys) programs.push_back(session.segments(key));

  const UnetConfig& config = unet_.config();
  SamplerState state;
  state.batch = shape.batch / halves;
  state.outputs = halves;
  state.pixels = shape.height * shape.width;
  state.channels = config.out_channels;
  state.input_channels = config.in_channels;
  state.model_input = &session.sample();
  state.model_output = &session.out();
  std::vector<std::unique_ptr<Buffer>> buffers;
  const auto allocate = [&](size_t values) {
    buffers.push_back(backend_->allocate(sizeof(float) * values));
    return buffers.back().get();
  };
  for (Buffer** buffer : {&state.x, &state.m, &state.x0, &state.kept})
    *buffer = allocate(state.batch * state.count());
  if (config.in_channels > config.out_channels)
    state.constant = allocate(size_t(shape.batch) * state.pixels *
                              size_t(config.in_channels - config.out_channels));

  const StepTable table = table_of(keys, guided_);
  Loop& loop = session.loop();
  loop.begin(table, state, programs);
  loop.change();
  for (size_t row = 0; row < table.rows.size(); row++) {
    if (row == 1) {  // as beside another U-Net: in two parts
      loop.input(false);
      loop.apply(false);
    } else {
      loop.enqueue(row == 0, nullptr);
    }
    loop.wait(int(row));
  }
}

}  // namespace deepcache::launches

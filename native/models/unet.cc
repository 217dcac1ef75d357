#include "unet.h"

#include <algorithm>
#include <chrono>

#include "../runtime/error.h"
#include "../runtime/noise_window.h"
#include "layout.h"
#include "unet_session.h"
#include "weight_plans.h"

namespace deepcache {
namespace {

std::vector<float> read_nchw(const Buffer& buffer, size_t n, size_t c, size_t pixels,
                             Type type = Type::f32) {
  std::vector<float> rows(n * c * pixels), out(rows.size());
  std::vector<char> stored(rows.size() * bytes_of(type));
  buffer.download(stored.data(), stored.size());
  read_floats({type, {}, stored.data(), rows.size()}, 0, rows.size(), rows.data());
  nhwc_to_nchw(rows.data(), out.data(), n, c, pixels);
  return out;
}

void write_nchw(Buffer& buffer, const float* data, size_t n, size_t c, size_t pixels) {
  std::vector<float> rows(n * c * pixels);
  nchw_to_nhwc(data, rows.data(), n, c, pixels);
  buffer.upload(rows.data(), rows.size() * sizeof(float));
}

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

[[noreturn]] void invalid_row(size_t row, const std::string& what) {
  throw Error(ErrorCode::kInvalidArgument, "step table, row " + std::to_string(row) + ": " + what);
}

// Whether what joins the time embedding differs between samples.
bool samples_differ(const UnetConfig& config, const UnetConditions& conditions, int videos) {
  if (!config.video && config.text_time) return true;
  if (const int width = config.time_cond_width; width && conditions.timestep_cond) {
    const float* cond = conditions.timestep_cond;
    for (int i = width; i < videos * width; ++i)
      if (cond[i] != cond[i - width]) return true;
  }
  if (!config.video) return false;
  const int count = conditions.time_ids_count;
  const float* ids = conditions.time_ids;
  for (int i = count; i < videos * count; ++i)
    if (ids[i] != ids[i - count]) return true;
  return false;
}

std::string name_of(Halves halves) {
  return halves == Halves::both          ? "both halves"
         : halves == Halves::conditional ? "the conditional half"
                                         : "the unconditional half";
}

// Features are a run's own: a retrieve step reads what the last full one before it has written, for
// all the halves that it reads.
void check_order(const StepTable& table, int halves) {
  bool full = false;  // has run
  Halves kept = Halves::both;
  const auto check_retrieve = [&](size_t row, Halves read) {
    if (!full) invalid_row(row, "the first call of a run must be full");
    if (kept != Halves::both && kept != read)
      invalid_row(row,
                  "a retrieve step of " + name_of(read) + " after a full one of " + name_of(kept));
  };
  for (size_t i = 0; i < table.rows.size(); ++i) {
    const StepRow& row = table.rows[i];
    if (row.guided && halves != 2) invalid_row(i, "guidance needs two halves");
    // Rows before the first full call skip nothing.
    if (full && row.max_skips > 0 && row.instead != kNoProgram)
      check_retrieve(i, table.halves(row.instead));
    if (row.program == kNoProgram) continue;
    const Halves computed = table.halves(row.program);
    if (!table.is_full(row.program)) {
      check_retrieve(i, computed);
    } else if (!full || row.max_skips == 0 || kept == Halves::both) {
      kept = computed;  // a row that may skip adds no half
      full = true;
    }
  }
}

}  // namespace

Unet::Unet(const UnetConfig& config, std::shared_ptr<WeightSource> source,
           std::shared_ptr<Backend> backend)
    : Model(renamed(std::move(source), config.naming), std::move(backend)), config_(config) {
  if (config_.video) config_.mix_factors = read_mix_factors(weights().source());
  for (const Plan& plan : weight_plans(config_)) load(plan);
  finish_loading();
}

Unet::~Unet() = default;

void Unet::check_branch(int branch) const {
  if (branch < 0 || branch >= config_.branches())
    throw Error(ErrorCode::kInvalidArgument, "branch " + std::to_string(branch) +
                                                 " does not exist; this U-Net has branches 0 to " +
                                                 std::to_string(config_.branches() - 1));
}

Unet::Session& Unet::session(const UnetShape& shape, int steps, const std::vector<int>& features) {
  if (!session_ || !session_->fits(shape, steps, features)) {
    session_.reset();  // its memory goes first
    session_ = std::make_unique<Session>(*this, shape, steps, features);
  }
  return *session_;
}

std::vector<float> Unet::forward(const UnetForward& request, const CancelFlag* cancel,
                                 const Tap* tap) {
  const int batch = request.batch;
  const bool per_sample = request.timesteps.size() > 1 ||
                          samples_differ(config_, request.conditions, batch / request.frames);
  const int rows = per_sample ? batch : 1;
  std::vector<float> timesteps = request.timesteps;
  timesteps.resize(rows, request.timesteps[0]);
  const UnetShape shape{
      batch, request.height, request.width,       request.conditions.context_length,
      rows,  request.frames, request.old_contexts};
  std::vector<int> features = request.features;
  ProgramKey key;
  if (request.retrieve) {
    check_branch(*request.retrieve);
    key = {ProgramKey::Kind::retrieve, *request.retrieve};
    features = {*request.retrieve};
    if (!session_ || !session_->fits(shape, 1, features) || !session_->has_features)
      throw Error(ErrorCode::kInvalidArgument,
                  "a retrieve step needs a full pass of the same shape before it that keeps the "
                  "feature of branch " +
                      std::to_string(*request.retrieve));
  }
  for (const int branch : features) check_branch(branch);
  std::sort(features.begin(), features.end());
  features.erase(std::unique(features.begin(), features.end()), features.end());

  const size_t pixels = size_t(request.height) * request.width;
  Session& run = session(shape, 1, features);
  run.condition(request.conditions, timesteps, cancel, tap);
  write_nchw(run.sample(), request.sample, batch, config_.in_channels, pixels);
  if (!request.retrieve) run.has_features = false;
  run_segments(run.segments(key), 0, cancel, tap);
  backend().synchronize();
  if (!request.retrieve) run.has_features = true;
  return read_nchw(run.out(), batch, config_.out_channels, pixels);
}

std::vector<float> Unet::feature(int branch, Shape* shape) {
  Buffer* buffer = session_ && session_->has_features ? session_->feature(branch) : nullptr;
  if (!buffer)
    throw Error(ErrorCode::kInvalidArgument,
                "no full pass kept the feature of branch " + std::to_string(branch));
  *shape = unet_feature_shape(config_, session_->shape(), branch);
  return read_nchw(*buffer, shape->n, shape->c, size_t(shape->h) * shape->w,
                   backend().activation_type());
}

UnetRun Unet::denoise(const UnetDenoise& request, const CancelFlag* cancel,
                      const std::function<void(const UnetProgress&)>& on_step) {
  const Clock::time_point begin = Clock::now();
  StepTable table = request.table;
  // Without a second half there is nothing that a program could leave out.
  if (request.halves == 1)
    for (ProgramKey& key : table.programs) key.halves = Halves::both;
  const int batch = request.batch, model_batch = batch * request.halves;
  validate(table, batch, request.draws);
  check_order(table, request.halves);
  std::vector<int> features;
  bool per_sample = samples_differ(config_, request.conditions, model_batch / request.frames);
  for (const ProgramKey& key : table.programs) {
    if (key.kind == ProgramKey::Kind::full) continue;
    check_branch(key.branch);
    features.push_back(key.branch);
  }
  std::sort(features.begin(), features.end());
  features.erase(std::unique(features.begin(), features.end()), features.end());
  for (const StepRow& row : table.rows) per_sample |= row.timestep.stride != 0;

  const int time_rows = per_sample ? model_batch : 1, steps = int(table.rows.size());
  std::vector<float> timesteps;
  for (const StepRow& row : table.rows)
    for (int i = 0; i < time_rows; ++i) timesteps.push_back(table.value(row.timestep, i % batch));
  const UnetShape shape{
      model_batch, request.height, request.width,       request.conditions.context_length,
      time_rows,   request.frames, request.old_contexts};
  Session& run = session(shape, steps, features);
  run.condition(request.conditions, timesteps, cancel, nullptr);
  run.has_features = false;

  const int channels = config_.out_channels;
  const size_t pixels = size_t(request.height) * request.width, count = batch * channels * pixels;
  std::vector<std::unique_ptr<Buffer>> buffers;
  const auto allocate = [&](size_t values) {
    buffers.push_back(backend().allocate(values * sizeof(float)));
    return buffers.back().get();
  };
  const auto upload = [&](const float* data, size_t n, size_t c) -> Buffer* {
    if (!data || n * c == 0) return nullptr;
    Buffer* buffer = allocate(n * c * pixels);
    write_nchw(*buffer, data, n, c, pixels);
    return buffer;
  };
  SamplerState state;
  state.batch = batch;
  state.halves = request.halves;
  state.pixels = int(pixels);
  state.channels = channels;
  state.input_channels = config_.in_channels;
  state.x = upload(request.latents, batch, channels);
  NoiseWindow noise(table, batch, run.loop().rows_in_flight());
  if (request.draws > 0) state.noise = allocate(size_t(noise.size()) * count);
  state.constant = upload(request.constant, model_batch, config_.in_channels - channels);
  state.mask = upload(request.mask, batch, 1);
  state.init = upload(request.init, batch, channels);
  state.init_noise = upload(request.init_noise, batch, channels);
  if (table.skips()) state.kept = allocate(count);
  state.m = allocate(count);
  state.x0 = allocate(count);
  state.model_input = &run.sample();
  state.model_output = &run.out();
  const std::vector<bool> used = used_history(table);
  for (int i = 0; i < kHistorySlots; ++i)
    if (used[i])
      state.history[i] =
          request.history[i] ? upload(request.history[i], batch, channels) : allocate(count);

  std::vector<Segments> programs;
  for (const ProgramKey& key : table.programs) programs.push_back(run.segments(key));

  const auto reader = [&](Buffer* buffer) {
    return
        [buffer, batch, channels, pixels] { return read_nchw(*buffer, batch, channels, pixels); };
  };
  UnetRun result;
  result.prepare_milliseconds = milliseconds_since(begin);
  Clock::time_point row_begin = Clock::now();
  const auto check = [&](const Buffer& values, int row,
                         const std::function<void(const Tap&)>& again) {
    if (!all_finite(values_of(values)))
      fail_not_finite(
          "the U-Net, at call " + std::to_string(row + 1) + " of " + std::to_string(steps) + ",",
          weight_plans(config_), again);
  };
  const auto after = [&](const StepReport& report) {
    const int row = report.row;
    result.reports.push_back(report);
    result.row_milliseconds.push_back(milliseconds_since(row_begin));
    // Where reading the values does not hold up the rows behind. The input is still there.
    if (run.loop().rows_in_flight() == 1)
      check(*state.x, row, [&](const Tap& tap) {
        if (report.program != kNoProgram)
          run_segments(programs[size_t(report.program)], row, cancel, &tap);
      });
    on_step({row, result.row_milliseconds.back(), report.program, report.change, reader(state.x),
             reader(state.x0)});
    row_begin = Clock::now();
  };
  const auto before = [&](int row) {
    noise.prepare(row, [&](int place) {
      std::vector<float> drawn(count), rows(count);
      request.draw_noise(drawn.data());
      nchw_to_nhwc(drawn.data(), rows.data(), batch, channels, pixels);
      const size_t bytes = count * sizeof(float);
      state.noise->upload(rows.data(), bytes, size_t(place) * bytes);
    });
  };
  run_table(run.loop(), table, state, programs, cancel, request.reads, after, before);
  backend().synchronize();
  check(*state.x, steps - 1, [](const Tap&) {});
  result.latents = read_nchw(*state.x, batch, channels, pixels);
  for (int i = 0; i < kHistorySlots; ++i)
    if (used[i]) result.history[i] = read_nchw(*state.history[i], batch, channels, pixels);
  return result;
}

UnetMemory Unet::memory() const {
  return {weight_bytes(), session_ ? session_->arena_bytes() : 0,
          session_ ? session_->buffer_bytes() : 0};
}

void Unet::trim() { session_.reset(); }

}  // namespace deepcache

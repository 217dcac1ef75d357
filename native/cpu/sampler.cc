// The step table's arithmetic. A row's sums are in double and rounded once; the work is nothing
// against a U-Net call, so it runs on the calling thread.

#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/buffer.h"
#include "cpu/guidance.h"
#include "cpu/loop.h"

namespace deepcache::cpu {
namespace {

float* values(Buffer* buffer) {
  return reinterpret_cast<float*>(static_cast<CpuBuffer*>(buffer)->data());
}

// torch.quantile(|x|, ratio) with linear interpolation.
double quantile(const float* x, size_t count, double ratio) {
  std::vector<float> sizes(count);
  for (size_t i = 0; i < count; i++) sizes[i] = std::fabs(x[i]);
  const double place = ratio * double(count - 1);
  const size_t below = std::min(size_t(place), count - 1);
  std::nth_element(sizes.begin(), sizes.begin() + below, sizes.end());
  const double low = sizes[below];
  if (below + 1 >= count) return low;
  const double high = *std::min_element(sizes.begin() + below + 1, sizes.end());
  return low + (high - low) * (place - double(below));
}

// The Imagen paper's dynamic thresholding, as DDPMScheduler._threshold_sample does it.
void limit(const StepRow& row, size_t count, float* x0) {
  if (row.limit == StepRow::Limit::clamp) {
    for (size_t i = 0; i < count; i++) x0[i] = std::clamp(x0[i], -row.clamp, row.clamp);
  } else if (row.limit == StepRow::Limit::threshold) {
    const double bound = std::max(
        1.0, std::min(quantile(x0, count, row.threshold_ratio), double(row.threshold_max)));
    for (size_t i = 0; i < count; i++)
      x0[i] = float(std::clamp(double(x0[i]), -bound, bound) / bound);
  }
}

// One sample of the state.
struct Sample {
  const SamplerState& state;
  const StepTable& table;
  const StepRow& row;
  int index;

  double number(Coefficient c) const { return double(table.value(c, index)); }
  float* of(Buffer* buffer) const { return values(buffer) + index * state.count(); }
  float* slot(Slot slot) const {
    switch (slot) {
      case Slot::x:
        return of(state.x);
      case Slot::m:
        return of(state.m);
      case Slot::x0:
        return of(state.x0);
      case Slot::noise: {
        const size_t draw = size_t(number(row.noise));
        return values(state.noise) + (draw * state.batch + index) * state.count();
      }
      default:
        return of(state.history[int(slot) - kFirstHistorySlot]);
    }
  }
};

void add_up(const Sample& sample, Terms sum_of, float* to) {
  const size_t terms = sum_of.count, count = sample.state.count();
  const float* from[kMaxTerms];
  double factors[kMaxTerms];
  for (size_t t = 0; t < terms; t++) {
    const Term& term = sample.table.terms[sum_of.first + t];
    from[t] = sample.slot(term.slot);
    factors[t] = sample.number(term.coefficient);
  }
  for (size_t i = 0; i < count; i++) {
    double sum = 0;
    for (size_t t = 0; t < terms; t++) sum += factors[t] * double(from[t][i]);
    to[i] = float(sum);
  }
}

void blend(const Sample& sample) {
  const SamplerState& state = sample.state;
  const double init_factor = sample.number(sample.row.blend_init);
  const double noise_factor = sample.number(sample.row.blend_noise);
  float* x = sample.slot(Slot::x);
  const float* init = sample.of(state.init);
  const float* noise =
      sample.row.blends_noise ? sample.slot(Slot::noise) : sample.of(state.init_noise);
  const float* mask = values(state.mask) + size_t(sample.index) * state.pixels;
  for (int p = 0; p < state.pixels; p++) {
    const double m = double(mask[p]);
    for (int c = 0; c < state.channels; c++) {
      const size_t i = size_t(p) * state.channels + c;
      const double kept = init_factor * double(init[i]) + noise_factor * double(noise[i]);
      x[i] = float(m * double(x[i]) + (1 - m) * kept);
    }
  }
}

void build_input(const SamplerState& state, const StepTable& table, int row) {
  const int extra = state.input_channels - state.channels;
  const float* x = values(state.x);
  const float* constant = extra ? values(state.constant) : nullptr;
  float* out = values(state.model_input);
  for (int output = 0; output < state.outputs; output++) {
    for (int sample = 0; sample < state.batch; sample++) {
      const float scale = table.value(table.rows[row].input_scale, sample);
      const float* from = x + sample * state.count();
      for (int p = 0; p < state.pixels; p++) {
        for (int c = 0; c < state.channels; c++) *out++ = scale * *from++;
        for (int c = 0; c < extra; c++) *out++ = *constant++;
      }
    }
  }
}

// What the U-Net sees of the latents, once and without constant channels.
template <typename Visit>
void each_input(const SamplerState& state, const StepTable& table, int row, int sample,
                const Visit& visit) {
  const float scale = table.value(table.rows[row].input_scale, sample);
  const float* x = values(state.x) + sample * state.count();
  float* kept = values(state.kept) + sample * state.count();
  for (size_t i = 0; i < state.count(); i++) visit(scale * x[i], kept[i]);
}

void keep_input(const SamplerState& state, const StepTable& table, int row) {
  for (int sample = 0; sample < state.batch; sample++)
    each_input(state, table, row, sample, [](float value, float& kept) { kept = value; });
}

// `program`: what has run.
void apply_row(const SamplerState& state, const StepTable& table, int row_index, int program) {
  const StepRow& row = table.rows[row_index];
  const size_t count = state.count();
  const Halves halves = table.halves(program);
  const float* const outputs = values(state.model_output);
  for (int i = 0; i < state.batch; i++) {
    const Sample sample{state, table, row, i};
    const auto output = [&](int which) {
      return outputs + (size_t(which) * state.batch + i) * count;
    };
    float* const m = sample.slot(Slot::m);
    if (halves == Halves::none) {
      if (row.calls()) add_up(sample, row.predict, m);
    } else if (row.guided && outputs_of(halves, state.outputs).count > 1) {
      const GuidedOutputs of{output(0), output(1), row.guided_by_third ? output(2) : nullptr,
                             row.rule.has_momentum ? sample.slot(row.rule.average) : nullptr,
                             count};
      guide(table, row, i, of, m);
    } else {
      const float* const only = output(unguided_output(halves, state.outputs));
      std::copy(only, only + count, m);
    }
    float* const x0 = sample.slot(Slot::x0);
    const float* x = sample.slot(Slot::x);
    const double by_x = sample.number(row.x0_x), by_m = sample.number(row.x0_m);
    for (size_t j = 0; j < count; j++) x0[j] = float(by_x * double(x[j]) + by_m * double(m[j]));
    limit(row, count, x0);
    for (int a = 0; a < row.assignment_count; a++)
      add_up(sample, row.assignments[a].terms, sample.slot(row.assignments[a].to));
    if (row.blended) blend(sample);
  }
}

}  // namespace

void CpuLoop::begin(const StepTable& table, const SamplerState& state,
                    const std::vector<Segments>& programs) {
  check_state(table, state);
  table_ = &table;
  state_ = &state;
  programs_ = programs;
  next_ = 0;
}

float CpuLoop::change() {
  double largest = 0;
  for (int sample = 0; sample < state_->batch; sample++) {
    double difference = 0, size = 0;
    each_input(*state_, *table_, next_, sample, [&](float value, float& kept) {
      difference += std::fabs(double(value) - double(kept));
      size += std::fabs(double(kept));
    });
    if (!(difference / size <= largest)) largest = difference / size;  // a NaN stays
  }
  return float(largest);
}

int CpuLoop::program(bool skips) const {
  const StepRow& row = table_->rows[next_];
  return skips ? row.instead : row.program;
}

void CpuLoop::enqueue(bool skips, const CancelFlag* cancel) {
  if (const int runs = program(skips); runs != kNoProgram) {
    input(skips);
    run_segments(programs_[runs], table_->call(next_), cancel, nullptr);
  }
  apply(skips);
}

void CpuLoop::input(bool skips) {
  if (state_->kept && table_->is_full(program(skips))) keep_input(*state_, *table_, next_);
  build_input(*state_, *table_, next_);
}

void CpuLoop::apply(bool skips) {
  apply_row(*state_, *table_, next_, program(skips));
  next_++;
}

}  // namespace deepcache::cpu

#pragma once

// The step table: a run's scheduler and cache policy, compiled by TypeScript (lib/schedulers/
// table.ts says what a row means), executed natively without leaving the device. Rows are plain
// data that all backends read as they are; the CUDA backend copies them to the device.
//
// To add a field to a row, change: this file (a coefficient joins kCoefficients too), its reader
// addon/table.cc, its meaning in lib/schedulers/table.ts, and what executes it: cpu/sampler.cc,
// cuda/kernels/sampler.cu and the reference lib/schedulers/run-table.ts. Nothing else.

#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "tensor.h"

namespace deepcache {

class Buffer;

enum class Slot : uint8_t { x, m, x0, noise, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9 };
constexpr int kFirstHistorySlot = int(Slot::s0);
constexpr int kHistorySlots = 10;

// TABLE_LIMITS in table.ts.
constexpr int kMaxRows = 100'000;
constexpr int kMaxPrograms = 1000;
constexpr int kMaxAssignments = 6;  // of a row
constexpr int kMaxTerms = 64;       // of a row, in all its sums

// A number shared by the batch (stride 0) or one for each sample (stride 1): values[offset +
// stride * sample].
struct Coefficient {
  uint32_t offset = 0;
  uint32_t stride = 0;
};

struct Term {
  Slot slot = Slot::x;
  Coefficient coefficient;
};

// StepTable::terms[first], [first + 1] ...: a sum, or all sums of a row.
struct Terms {
  uint32_t first = 0;
  uint32_t count = 0;
  uint32_t end() const { return first + count; }
};

struct Assignment {
  Slot to = Slot::x;
  Terms terms;
};

constexpr int kNoProgram = -1;

// How guidance combines the first two outputs, u and c: see GuidanceRule of table.ts. Every rule
// but `linear` makes factors of u, c and of their difference d for each sample, of sums of
// products.
struct GuidanceRule {
  enum class Kind : uint8_t {
    linear,
    zero,
    averaging,
    zero_star,
    projected,
    tangential,
    magnitude
  };
  Kind kind = Kind::linear;
  bool from_conditional = false;  // the sum begins at c
  bool has_momentum = false;
  float eta = 1, limit = 0, momentum = 0;  // of `projected`
  Slot average = Slot::s0;                 // of d, with momentum: d + momentum * average
  float alpha = 0;                         // of `magnitude`
};

struct StepRow {
  int32_t program = 0;  // or kNoProgram: m is `predict`; without terms the row calls nothing
  Terms predict;
  // Rows up to this one that call nothing: see StepTable::call().
  int32_t uncalled = 0;
  // A row that may skip its program, a full one: `instead` runs (a retrieve step, or kNoProgram)
  // while the input has changed by less than `skip_below` since the last full call, and at most
  // max_skips times one after the other. 0: not such a row.
  int32_t max_skips = 0;
  int32_t instead = kNoProgram;
  float skip_below = 0;
  Coefficient timestep, input_scale;
  // Of a retrieve step: its feature is the one that the last full call kept, and `feature_gamma`
  // times what that one is more than the feature of the full call before.
  bool forecasts = false;
  Coefficient feature_gamma;
  // Of a program that degrades: the share of the clean latents in x.
  bool has_signal = false;
  Coefficient signal;
  // m = e0 + scale * (e1 - e0) [+ third * (e2 - e0)], rescaled, of the outputs e that the program
  // has computed for each sample; otherwise m is the conditional one, or the only one there is.
  bool guided = false;
  bool guided_by_third = false;
  Coefficient guidance_scale, guidance_third, guidance_rescale;
  GuidanceRule rule;
  Coefficient x0_x, x0_m;
  enum class Limit : uint8_t { none, clamp, threshold } limit = Limit::none;
  float clamp = 0, threshold_ratio = 0, threshold_max = 0;
  int32_t assignment_count = 0;
  Assignment assignments[kMaxAssignments];
  Terms terms;  // of the prediction and of the assignments, in this order
  bool has_noise = false;
  Coefficient noise;  // index of the draw
  bool blended = false;
  bool blends_noise = false;  // the row's draw instead of the run's initial noise
  Coefficient blend_init, blend_noise;

  // Whether it stands for a call of the U-Net, which may be predicted.
  bool calls() const { return program != kNoProgram || predict.count > 0; }
};
static_assert(std::is_trivially_copyable_v<StepRow> && std::is_trivially_copyable_v<Term>);

// Every coefficient of a row by its name in table.ts. One that a row does not use is value 0.
struct NamedCoefficient {
  const char* name;
  Coefficient StepRow::*of;
};
constexpr NamedCoefficient kCoefficients[] = {
    {"timestep", &StepRow::timestep},
    {"inputScale", &StepRow::input_scale},
    {"featureGamma", &StepRow::feature_gamma},
    {"signal", &StepRow::signal},
    {"guidance.scale", &StepRow::guidance_scale},
    {"guidance.third", &StepRow::guidance_third},
    {"guidance.rescale", &StepRow::guidance_rescale},
    {"x0.x", &StepRow::x0_x},
    {"x0.m", &StepRow::x0_m},
    {"noise", &StepRow::noise},
    {"blend.init", &StepRow::blend_init},
    {"blend.noise", &StepRow::blend_noise},
};

// Outputs of a sample that guidance combines. The unconditional one is the first, the conditional
// one the second; a third is a perturbed or a degraded one or one for a picture. Where there is
// one, it is both.
constexpr int kMaxOutputs = 3;

// Which of them a program computes; `both` are the first two, `none` stands for no program.
enum class Halves : uint8_t { all, both, conditional, unconditional, none };

struct OutputRange {
  int first = 0, count = 1;
  int end() const { return first + count; }
  bool contains(OutputRange other) const { return other.first >= first && other.end() <= end(); }
};
constexpr OutputRange outputs_of(Halves halves, int outputs) {
  switch (halves) {
    case Halves::all:
      return {0, outputs};
    case Halves::both:
      return {0, outputs < 2 ? outputs : 2};
    case Halves::conditional:
      return {outputs > 1 ? 1 : 0, 1};
    case Halves::unconditional:
      return {0, 1};
    case Halves::none:
      break;
  }
  return {0, 0};
}
// The one that a row takes which does not combine them.
constexpr int unguided_output(Halves halves, int outputs) {
  return halves == Halves::unconditional ? 0 : outputs_of(Halves::conditional, outputs).first;
}

// What a program does about the outputs of attention (T-GATE): computes them; keeps them besides,
// each output's or their mean in the place of the first one's; or takes what was kept.
enum class AttentionUse : uint8_t { compute, keep, mean, kept };

struct AttentionUses {
  AttentionUse cross = AttentionUse::compute, self = AttentionUse::compute;
  auto operator<=>(const AttentionUses&) const = default;
  explicit operator bool() const { return *this != AttentionUses{}; }
};

// Which plan a row runs.
struct ProgramKey {
  enum class Kind : uint8_t { full, retrieve } kind = Kind::full;
  int branch = -1;
  Halves halves = Halves::all;
  // The ControlNets that run with it, one bit each; the others' residuals are those of an earlier
  // call.
  uint32_t networks = 0;
  AttentionUses attention = {};
  // Whether the last of its outputs is computed behind the others, on what these make of the
  // latents (self-attention guidance).
  bool degrades = false;
  bool operator==(const ProgramKey&) const = default;
};

struct StepTable {
  std::vector<ProgramKey> programs;
  std::vector<StepRow> rows;
  std::vector<Term> terms;    // what sums are made of
  std::vector<float> values;  // what coefficients point into

  float value(Coefficient c, int sample) const { return values[c.offset + c.stride * sample]; }
  // The number of a row that calls among those that do: what a run has for each call, such as its
  // slices of stepped tensors, is in this order. Rows have theirs by count_calls().
  int call(int row) const { return row - rows[size_t(row)].uncalled; }
  int calls() const { return rows.empty() ? 0 : int(rows.size()) - rows.back().uncalled; }
  void count_calls();
  // What `program` of a row computes.
  Halves halves(int program) const {
    return program == kNoProgram ? Halves::none : programs[size_t(program)].halves;
  }
  bool is_full(int program) const {
    return program != kNoProgram && programs[size_t(program)].kind == ProgramKey::Kind::full;
  }
  // Whether a row may skip its program.
  bool skips() const;
  // Whether a row forecasts its feature.
  bool forecasts() const;
  // Whether a program degrades.
  bool degrades() const;
  // Give the row, which is not in the table yet, a prediction instead of its program, or another
  // assignment. A row's sums are made in one go: its terms lie together.
  void predict(StepRow& row, const std::vector<Term>& sum);
  void assign(StepRow& row, Slot to, const std::vector<Term>& sum);

 private:
  Terms add(StepRow& row, const std::vector<Term>& sum);
};

// The device-resident state of a run. Every buffer holds fp32 NHWC values; `count` values a sample.
struct SamplerState {
  int batch = 1;           // samples (images), not counting the outputs of each
  int outputs = 1;         // that guidance combines: model batch = outputs * batch
  int pixels = 0;          // latent height * width
  int channels = 4;        // latent channels
  int input_channels = 4;  // U-Net input channels: latent ones, then `constant`
  Buffer* x = nullptr;
  Buffer* model_input = nullptr;   // [outputs * batch, pixels, input_channels]
  Buffer* model_output = nullptr;  // [outputs * batch, pixels, channels]
  Buffer* m = nullptr;
  Buffer* x0 = nullptr;
  Buffer* noise = nullptr;              // [draws, batch, pixels, channels]
  Buffer* history[kHistorySlots] = {};  // null when the table does not use the slot
  Buffer* constant = nullptr;           // [outputs * batch, pixels, input_channels - channels]
  Buffer* mask = nullptr;               // [batch, pixels, 1]
  Buffer* init = nullptr;               // as x
  Buffer* init_noise = nullptr;
  Buffer* kept = nullptr;  // as x: of a table that skips, the scaled input of the last full call

  size_t count() const { return size_t(pixels) * channels; }
};

// Throws Error(kInvalidArgument) when a row points outside of the table, the slots or the draws.
void validate(const StepTable& table, int batch, int draws);

// Throws Error(kInternal) when the state lacks what a valid table needs.
void check_state(const StepTable& table, const SamplerState& state);

// History slots that the table reads or writes.
std::vector<bool> used_history(const StepTable& table);

}  // namespace deepcache

#pragma once

// The step table: a run's scheduler and cache policy, compiled by TypeScript (lib/schedulers/
// table.ts says what a row means), executed natively without leaving the device.

#include <cstdint>
#include <string>
#include <vector>

#include "tensor.h"

namespace deepcache {

class Buffer;

enum class Slot : uint8_t { x, m, x0, noise, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9 };
constexpr int kFirstHistorySlot = int(Slot::s0);
constexpr int kHistorySlots = 10;
constexpr int kMaxAssignments = 4;

// A number shared by the batch (stride 0) or one for each sample (stride 1): values[offset +
// stride * sample].
struct Coefficient {
  uint32_t offset = 0;
  uint32_t stride = 0;
};

struct Term {
  Slot slot;
  Coefficient coefficient;
};

struct Assignment {
  Slot to;
  std::vector<Term> terms;
};

struct StepRow {
  int program = 0;
  Coefficient timestep, input_scale;
  // m = uncond + scale * (cond - uncond), rescaled; otherwise m is the output's conditional half
  // (all of it when there is one half only).
  bool guided = false;
  Coefficient guidance_scale, guidance_rescale;
  Coefficient x0_x, x0_m;
  enum class Limit : uint8_t { none, clamp, threshold } limit = Limit::none;
  float clamp = 0, threshold_ratio = 0, threshold_max = 0;
  std::vector<Assignment> assignments;
  bool has_noise = false;
  Coefficient noise;  // index of the draw
  bool blended = false;
  Coefficient blend_init, blend_noise;
};

// Which plan a row runs.
struct ProgramKey {
  enum class Kind : uint8_t { full, retrieve } kind = Kind::full;
  int branch = -1;
  bool guided = true;  // false: only the conditional half
  bool operator==(const ProgramKey&) const = default;
};

struct StepTable {
  std::vector<ProgramKey> programs;
  std::vector<StepRow> rows;
  std::vector<float> values;  // what coefficients point into

  float value(Coefficient c, int sample) const { return values[c.offset + c.stride * sample]; }
};

// The device-resident state of a run. Every buffer holds fp32 NHWC values; `count` values a sample.
struct SamplerState {
  int batch = 1;           // samples (images), not counting guidance halves
  int halves = 1;          // 2 with classifier-free guidance: model batch = halves * batch,
                           // unconditional first
  int pixels = 0;          // latent height * width
  int channels = 4;        // latent channels
  int input_channels = 4;  // U-Net input channels: latent ones, then `constant`
  Buffer* x = nullptr;
  Buffer* model_input = nullptr;   // [halves * batch, pixels, input_channels]
  Buffer* model_output = nullptr;  // [halves * batch, pixels, channels]
  Buffer* m = nullptr;
  Buffer* x0 = nullptr;
  Buffer* noise = nullptr;              // [draws, batch, pixels, channels]
  Buffer* history[kHistorySlots] = {};  // null when the table does not use the slot
  Buffer* constant = nullptr;           // [halves * batch, pixels, input_channels - channels]
  Buffer* mask = nullptr;               // [batch, pixels, 1]
  Buffer* init = nullptr;               // as x
  Buffer* init_noise = nullptr;

  size_t count() const { return size_t(pixels) * channels; }
};

// Throws Error(kInvalidArgument) when a row points outside of the table, the slots or the draws.
void validate(const StepTable& table, int batch, int draws);

}  // namespace deepcache

#pragma once

#include <memory>
#include <vector>

#include "arguments.h"
#include "models/unet_batch.h"
#include "unet_conditions.h"
#include "unet_control.h"

namespace deepcache::addon {

// Requests with the arrays that they point into; never copied or moved themselves.
struct ForwardInputs {
  UnetForward request;
  ConditionArrays conditions;
  ControlArrays control;
  ControlNetUse own;  // of a ControlNet: what it sees
  Floats sample;
  bool taps = false;
};

struct DenoiseInputs {
  UnetDenoise request;
  ConditionArrays conditions;
  ControlArrays control;
  Floats latents, constant, mask, init, init_noise;
  Floats history[kHistorySlots];
  int preview_every = 0, latents_every = 0;  // 0: never
  bool joins = false;
  int name = UnetBatch::kNoName;

  // Whether something that is wanted every so many calls is wanted after this row.
  bool is_due(int every, int row) const {
    const StepTable& table = request.table;
    return every > 0 && row >= 0 && table.rows[size_t(row)].calls() &&
           (table.call(row) + 1) % every == 0;
  }
};

// Of runs that a tick names, and how many one may name.
inline constexpr int kLastName = (1 << 30) - 1;
inline constexpr size_t kMostNamed = 1024;

// Check everything that NativeUnet.forward and denoise of lib/native/types.ts are given.
std::shared_ptr<const ForwardInputs> parse_forward(const Argument& in, const UnetConfig& config);
std::shared_ptr<const DenoiseInputs> parse_denoise(const Argument& in, const UnetConfig& config);

}  // namespace deepcache::addon

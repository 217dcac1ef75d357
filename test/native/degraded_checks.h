#pragma once

// Runs whose last output is computed on degraded latents (self-attention guidance), on any backend.

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "batch_runs.h"
#include "models/weight_plans.h"
#include "tiny_unet.h"

namespace deepcache::test {

struct DegradedTest {
  static constexpr float kScale = 4, kBy = 1.5f, kSignal = 0.8f;

  explicit DegradedTest(std::shared_ptr<Backend> backend) {
    const UnetConfig config = tiny_with("");
    unet = std::make_unique<Unet>(config, synthetic_weights(weight_plans(config)), backend);
  }

  // Steps of which the last output is a degraded one, full or not as `full` says; `outputs` 2: no
  // other guidance.
  std::unique_ptr<BatchRun> run(const std::vector<bool>& full, int outputs = 3,
                                int batch = 1) const {
    auto out = std::make_unique<BatchRun>(*unet, "degraded", batch, outputs, 16);
    StepTable& table = out->request.table;
    table.programs = {{kFull}, {kRetrieve, 1}};
    for (ProgramKey& key : table.programs) key.degrades = true;
    for (size_t i = 0; i < full.size(); ++i) {
      StepRow row = out->row(full[i] ? 0 : 1, out->number(float(951 - 90 * int(i))));
      row.has_signal = true;
      row.signal = out->number(kSignal);
      out->guide(row, outputs == 2 ? -kBy : kScale, 0);
      if (outputs == 3) {
        row.guided_by_third = true;
        row.guidance_third = out->number(-kBy);
      }
      table.assign(row, Slot::x, {{Slot::x, out->number(0.97f)}, {Slot::m, out->number(-0.03f)}});
      table.rows.push_back(row);
    }
    return out;
  }

  std::vector<float> latents(const std::unique_ptr<BatchRun>& run) const {
    return unet->denoise(run->request, nullptr, nullptr).latents;
  }

  std::unique_ptr<Unet> unet;
};

}  // namespace deepcache::test

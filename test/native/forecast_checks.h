#pragma once

// Runs whose retrieve steps forecast their features, on any backend.

#include <functional>
#include <memory>
#include <vector>

#include "batch_runs.h"
#include "models/weight_plans.h"
#include "tiny_unet.h"

namespace deepcache::test {

struct ForecastTest {
  explicit ForecastTest(std::shared_ptr<Backend> backend) {
    const UnetConfig config = tiny_with("");
    unet = std::make_unique<Unet>(config, synthetic_weights(weight_plans(config)), backend);
  }

  // Ten steps, a full one every three; the others carry the change of their feature on so far.
  std::unique_ptr<BatchRun> run(const std::function<float(int row)>& gamma) const {
    auto out = ten_steps(*unet);
    for (int i = 0; i < 10; ++i) {
      StepRow& row = out->request.table.rows[size_t(i)];
      if (out->request.table.is_full(row.program)) continue;
      row.forecasts = true;
      row.feature_gamma = out->number(gamma(i));
    }
    return out;
  }
  // The same table without a word of forecasts.
  std::unique_ptr<BatchRun> held() const { return ten_steps(*unet); }

  std::vector<float> latents(const std::unique_ptr<BatchRun>& run) const {
    return unet->denoise(run->request, nullptr, nullptr).latents;
  }

  std::unique_ptr<Unet> unet;
};

inline float no_forecast(int /*row*/) { return 0; }
// 1/3 and 2/3 of the way between full calls; there is one such before row 3.
inline float on_a_line(int row) { return row < 3 ? 0 : float(row % 3) / 3; }

}  // namespace deepcache::test

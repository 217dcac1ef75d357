#include <algorithm>
#include <cstdio>

#include "models.h"
#include "runs.h"
#include "time.h"

namespace deepcache::bench {
namespace {

constexpr int kTokens = 77;

OpCost cost_of_all(const Plan& plan, const OpRanges& segments, size_t activation_bytes) {
  OpCost out;
  for (const OpRange& segment : segments)
    for (int i = segment.first; i < segment.last; i++) {
      const OpCost one = cost_of(plan, plan.ops()[size_t(i)], activation_bytes);
      out.macs += one.macs;
      out.bytes += one.bytes;
    }
  return out;
}

// Of some segments of the plan, or all of it.
double time_plan(Timings& timings, const std::string& name, Plan plan, Model& model,
                 OpRanges segments = {}) {
  if (!timings.wants(name)) return timings.found(name);
  if (segments.empty()) segments = {plan.all()};
  const OpCost cost = cost_of_all(plan, segments, timings.device().activation_bytes());
  JsonObject extra;
  extra.add("gmacs_executed", 1e-9 * cost.macs, 9)
      .add("gmacs_published", 1e-9 * plan.macs(segments).complete, 9)
      .add("ops", count_ops(segments));
  RandomProgram program(std::move(plan), timings.device(), &model.weights(), segments);
  return timings.measure_row(name, cost, 1, program, extra);
}

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct Parts {
  std::unique_ptr<Unet> unet;
  std::unique_ptr<Autoencoder> vae;
  std::vector<std::unique_ptr<TextEncoder>> text;
};

// A whole run by the wall clock: text, denoising, pictures one by one.
void time_images(Timings& timings, const std::string& model, Parts& parts, int images, int side,
                 double full, double retrieve) {
  const TimeOptions& options = timings.options();
  const DenoiseInputs inputs(parts.unet->config(), images, side, side, kTokens);
  const auto ignore = [](const UnetProgress&) {};
  double uncached = 0;
  bool warm = false;
  for (const int interval : options.intervals) {
    const std::string name = timings.name(
        model + ".images.n" + std::to_string(options.steps) + ".i" + std::to_string(interval),
        images);
    if (!timings.wants(name)) {
      if (interval == 1) uncached = timings.found(name);
      continue;
    }
    if (!warm) {  // compiles and allocates what all runs of this size use
      const int most = *std::max_element(options.intervals.begin(), options.intervals.end());
      parts.unet->denoise(inputs.run(options.steps, std::max(most, 2), 0), nullptr, ignore);
      warm = true;
    }
    UnetRun run;
    const double text = seconds_of([&] {
      for (auto& encoder : parts.text)
        encoder->encode(synthetic_ids(2 * kTokens, encoder->config().vocabulary), 2, kTokens, 0, {},
                        nullptr);
    });
    const double denoise = seconds_of([&] {
      run = parts.unet->denoise(inputs.run(options.steps, interval, 0), nullptr, ignore);
    });
    const double decode = seconds_of([&] {
      if (!parts.vae) return;
      const size_t latent = run.latents.size() / images;
      Shape shape;
      for (int i = 0; i < images; i++)
        parts.vae->decode(run.latents.data() + i * latent, 1, side, side, false, &shape, nullptr,
                          nullptr);
    });
    if (interval == 1) uncached = denoise;
    const int fulls = (options.steps + interval - 1) / interval;
    const double ideal = options.steps * full / (fulls * full + (options.steps - fulls) * retrieve);
    const double speedup = uncached / denoise, rate = images / (text + denoise + decode);
    JsonObject row;
    row.add("name", name)
        .add("images_per_second", rate)
        .add("text_ms", 1e3 * text)
        .add("denoise_ms", 1e3 * denoise)
        .add("decode_ms", 1e3 * decode);
    std::printf("%-64s %10.2f images/s, denoising %.1f ms", name.c_str(), rate, 1e3 * denoise);
    if (interval > 1 && uncached > 0 && full > 0 && retrieve > 0) {
      row.add("speedup", speedup).add("ideal_speedup", ideal).add("of_ideal", speedup / ideal);
      std::printf(", %.2f times as fast, %.1f%% of the ideal", speedup, 100 * speedup / ideal);
    }
    std::printf("\n");
    std::fflush(stdout);
    timings.add(denoise, row);
  }
  parts.unet->trim();
}

}  // namespace

void time_model(Timings& timings, const std::string& model) {
  const TimeOptions& options = timings.options();
  const auto wanted = [&](const char* part) {
    return std::find(options.parts.begin(), options.parts.end(), part) != options.parts.end();
  };
  const std::shared_ptr<Backend>& backend = timings.device().backend;
  Parts parts;
  parts.unet = synthetic_unet(model_part(model, "unet"), backend);
  if (const std::string json = model_part(model, "vae"); !json.empty())
    parts.vae = synthetic_vae(json, backend);
  for (const char* part : {"text_encoder", "text_encoder_2"})
    if (const std::string json = model_part(model, part); !json.empty())
      parts.text.push_back(synthetic_text_encoder(json, backend));
  const UnetConfig& config = parts.unet->config();
  const int side = options.side ? options.side : config.sample_height;

  for (const int images : options.batches) {
    const UnetShape shape{2 * images, side, side, kTokens, 1};
    double full = 0, retrieve = 0;
    if (wanted("steps")) {
      const Plan plan = plan_unet(config, shape, {0});
      full = time_plan(timings, timings.name(model + ".full", images), plan, *parts.unet);
      retrieve = time_plan(timings, timings.name(model + ".retrieve0", images), plan, *parts.unet,
                           retrieve_segments(plan, 0));
    }
    if (wanted("images")) time_images(timings, model, parts, images, side, full, retrieve);
  }
  if (!wanted("steps")) return;
  if (parts.vae)
    time_plan(timings, timings.name(model + ".decode", 1),
              plan_vae_decode(parts.vae->config(), 1, side, side), *parts.vae);
  for (size_t i = 0; i < parts.text.size(); i++)
    time_plan(timings, timings.name(model + ".text" + (i ? "2" : ""), 1),
              plan_clip_text(parts.text[i]->config(), 2, kTokens, 0), *parts.text[i]);
}

}  // namespace deepcache::bench

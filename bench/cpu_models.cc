#include "cpu_models.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>

#include "../native/runtime/error.h"
#include "cpu_peak.h"
#include "machine.h"
#include "models.h"

namespace deepcache::bench {
namespace {

constexpr int kBatch = 2, kLatent = 64, kTokens = 77;

struct Figure {
  std::string name;
  double seconds = 0;    // best of the repeats
  double executed = 0;   // multiply-accumulates that the plans run
  double published = 0;  // of the architecture
};

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double best_of(int repeat, const std::function<void()>& work) {
  double best = seconds_of(work);
  for (int i = 1; i < repeat; ++i) best = std::min(best, seconds_of(work));
  return best;
}

// A forward pass through the API: with the prompt's keys and values and the time embedding.
void time_unet(std::shared_ptr<Backend> backend, int repeat,
               const std::function<bool(const char*)>& wanted, std::vector<Figure>& figures) {
  const std::unique_ptr<Unet> unet = synthetic_unet(kSd15Unet, backend);
  const UnetConfig& config = unet->config();
  const auto sample = synthetic_input("input.sample", {kBatch, 4, kLatent, kLatent});
  const auto context =
      synthetic_input("input.encoder_hidden_states", {kBatch, kTokens, config.context_width});
  UnetForward request;
  request.batch = kBatch;
  request.height = request.width = kLatent;
  request.sample = sample.data();
  request.timesteps = {601};
  request.conditions.context = context.data();
  request.conditions.context_length = kTokens;
  request.features = {0};

  const UnetShape shape{kBatch, kLatent, kLatent, kTokens, 1};
  const double around = plan_unet_context(config, kBatch, kTokens).executed_macs() +
                        plan_unet_time(config, 1, 1, 1).executed_macs();
  const auto measure = [&](const char* name, const Plan& plan, int runs) {
    if (!wanted(name)) return;
    const double seconds = best_of(runs, [&] { unet->forward(request, nullptr, nullptr); });
    figures.push_back({name, seconds, plan.executed_macs() + around, plan.macs().complete});
  };
  unet->forward(request, nullptr, nullptr);
  measure("sd15.full", plan_unet_full(config, shape, {0}), repeat);
  request.retrieve = 0;
  unet->forward(request, nullptr, nullptr);
  measure("sd15.retrieve0", plan_unet_retrieve(config, shape, 0), 3 * repeat);
}

void time_vae(std::shared_ptr<Backend> backend, int repeat, std::vector<Figure>& figures) {
  const std::unique_ptr<Autoencoder> vae = synthetic_vae(kSd15Vae, backend);
  const auto latent = synthetic_input("input.sample", {1, 4, kLatent, kLatent});
  const Plan plan = plan_vae_decode(vae->config(), 1, kLatent, kLatent);
  Shape shape;
  const double seconds = best_of(repeat, [&] {
    vae->decode(latent.data(), 1, kLatent, kLatent, false, &shape, nullptr, nullptr);
  });
  figures.push_back({"vae.decode512", seconds, plan.executed_macs(), plan.macs().complete});
}

}  // namespace

void bench_cpu_models(int threads, int repeat, const std::string& filter,
                      const std::string& json_file) {
  const auto wanted = [&](const char* name) {
    return std::string(name).find(filter) != std::string::npos;
  };
  CpuPeak peak = measure_cpu_peak(threads);
  const std::shared_ptr<Backend> backend = make_cpu_backend(threads);
  std::vector<Figure> figures;
  if (wanted("sd15.full") || wanted("sd15.retrieve0")) time_unet(backend, repeat, wanted, figures);
  if (wanted("vae.decode512")) time_vae(backend, repeat, figures);
  // The machine may have been slower while the models ran; the better peak is the stricter one.
  peak.gflops = std::max(peak.gflops, measure_cpu_peak(threads).gflops);

  std::printf("%s, %d threads, fp32 peak %.1f GFLOP/s\n", peak.isa, peak.threads, peak.gflops);
  std::printf("%-16s %9s %10s %10s  %s\n", "", "seconds", "GFLOP", "GFLOP/s", "of peak");
  std::string rows;
  for (const Figure& figure : figures) {
    const double gflop = 2e-9 * figure.executed, rate = gflop / figure.seconds;
    std::printf("%-16s %9.3f %10.1f %10.1f  %6.1f %%\n", figure.name.c_str(), figure.seconds, gflop,
                rate, 100 * rate / peak.gflops);
    char row[320];
    std::snprintf(row, sizeof row,
                  "%s\n    {\"name\": \"%s\", \"seconds\": %.4f, \"gflop\": %.2f, "
                  "\"published_gflop\": %.2f, \"gflops\": %.2f, \"of_peak\": %.4f}",
                  rows.empty() ? "" : ",", figure.name.c_str(), figure.seconds, gflop,
                  2e-9 * figure.published, rate, rate / peak.gflops);
    rows += row;
  }
  if (json_file.empty()) return;
  std::ofstream out(json_file);
  char head[160];
  std::snprintf(head, sizeof head,
                "  \"isa\": \"%s\",\n  \"threads\": %d,\n  \"peak_gflops\": %.2f,\n", peak.isa,
                peak.threads, peak.gflops);
  out << "{\n  \"what\": \"SD1.5 on the CPU backend, synthetic weights, fp32; batch 2 at 64x64 "
         "latents, VAE decode of one 512x512 image; best of "
      << repeat << "\",\n  \"machine\": " << machine_json() << ",\n"
      << head << "  \"figures\": [" << rows << "\n  ]\n}\n";
  if (!out.flush()) throw Error(ErrorCode::kInvalidArgument, json_file + " cannot be written");
}

}  // namespace deepcache::bench

#include "passes.h"

#include "bench/models.h"
#include "models/clip_vision.h"
#include "models/weight_plans.h"
#include "unet_passes.h"

namespace deepcache::launches {
namespace {

using bench::model_part;

struct Latents {
  int height, width;
};

struct Published {
  const char* name;
  const char* folder;  // of bench/models; of others only the U-Net
  std::vector<Latents> sizes;  // the one that it was trained on comes first, the odd one last
  int tokens = 77;
  std::vector<int> frames = {1};
  bool guided = true;
};

// 63x61 and the like: every enlargement is cropped. The VAE's tiles are sizes of their own below.
const std::vector<Published>& models() {
  static const std::vector<Published> all = {
      {"sd15", "sd15", {{64, 64}, {96, 64}, {64, 96}, {128, 128}, {63, 61}}},
      {"sd15-inpaint", "sd15-inpaint", {{64, 64}, {96, 64}, {63, 61}}},
      {"text2video", "sd15", {{64, 64}, {63, 61}}, 77, {8}},
      {"animatediff", "sd15-motion", {{64, 64}, {63, 61}}, 77, {16}},
      {"sd21", "sd21", {{96, 96}, {96, 128}, {64, 64}, {95, 77}}},
      {"sdxl", "sdxl", {{128, 128}, {104, 152}, {168, 96}, {64, 64}, {125, 99}}},
      {"sdxl-inpaint", "sdxl-inpaint", {{128, 128}, {125, 99}}},
      {"sdxl-refiner", "sdxl-refiner", {{128, 128}, {104, 152}, {125, 99}}},
      {"svd", "svd", {{72, 128}, {128, 72}, {40, 72}, {71, 37}}, 1, {14, 25}},
      {"ddpm-cifar10", "ddpm-cifar10", {{32, 32}}, 1, {1}, false},
      {"ddpm-bedroom", "ddpm-bedroom", {{256, 256}}, 1, {1}, false},
      {"ldm4", "ldm4", {{64, 64}, {32, 32}}, 1},
  };
  return all;
}

std::string text_of(const Latents& size) {
  return std::to_string(size.height) + "x" + std::to_string(size.width);
}

// A network that runs once: all that a plan names, with memory of its own.
void run_alone(const std::shared_ptr<DryBackend>& backend, const std::vector<Plan>& weights,
               const Plan& plan) {
  Model model(weights_without_values(weights), backend);
  const Buffers buffers = model.allocate(plan);
  model.run_once(plan, bindings_of(buffers), nullptr, nullptr);
}

class Parts {
 public:
  Parts(DryGpu& gpu, std::shared_ptr<DryBackend> backend, const std::vector<int>& batches,
        const std::string& model)
      : gpu_(gpu), backend_(std::move(backend)), batches_(batches), model_(model) {}

  void text(const char* part) {
    const std::string json = model_part(model_, part);
    if (json.empty()) return;
    const ClipTextConfig config = bench::text_encoder_config(json);
    for (const int batch : batches_)
      once(part, batch, "", weight_plans(config),
           [&] { return plan_clip_text(config, 2 * batch, config.positions, 0); });
  }

  void image_encoder() {
    const std::string json = model_part(model_, "image_encoder");
    if (json.empty()) return;
    const ClipVisionConfig config = ClipVisionConfig::parse(json);
    for (const int batch : batches_)
      once("image encoder", batch, "", weight_plans(config),
           [&] { return plan_clip_vision(config, batch); });
  }

  // Images one by one or all at once, whole or in tiles.
  void vae(std::vector<Latents> sizes) {
    const std::string json = model_part(model_, "vae");
    if (json.empty()) return;
    const VaeConfig config = VaeConfig::parse(json);
    const size_t whole = sizes.size();
    sizes.insert(sizes.end(), {{64, 64}, {64, 37}, {29, 64}});
    for (const int batch : batches_)
      for (size_t i = 0; i < (batch == 1 ? sizes.size() : whole); i++) {
        const auto& [h, w] = sizes[i];
        const std::string size = text_of(sizes[i]), tile = i < whole ? "" : " tile";
        once("vae decode" + tile, batch, size, weight_plans(config),
             [&] { return plan_vae_decode(config, batch, h, w); });
        if (!config.encoder) continue;
        const int scale = config.scale();
        once("vae encode" + tile, batch, size, weight_plans(config),
             [&] { return plan_vae_encode(config, batch, h * scale, w * scale); });
      }
  }

 private:
  template <typename MakePlan>
  void once(const std::string& part, int batch, const std::string& size,
            const std::vector<Plan>& weights, const MakePlan& make_plan) {
    gpu_.pass(model_ + " " + part + " b" + std::to_string(batch) + " " + size,
              [&] { run_alone(backend_, weights, make_plan()); });
  }

  DryGpu& gpu_;
  std::shared_ptr<DryBackend> backend_;
  const std::vector<int>& batches_;
  const std::string model_;
};

}  // namespace

std::vector<std::string> published_models() {
  std::vector<std::string> names;
  for (const Published& model : models()) names.push_back(model.name);
  return names;
}

void check_model(DryGpu& gpu, std::shared_ptr<DryBackend> backend, const std::string& model,
                 const std::vector<int>& batches, bool all_sizes) {
  for (const Published& published : models()) {
    if (published.name != model) continue;
    std::vector<Latents> sizes = published.sizes;
    if (!all_sizes) sizes.resize(1);
    UnetPasses unet(UnetConfig::parse(model_part(published.folder, "unet")), backend,
                    published.guided);
    for (const int frames : published.frames)
      for (size_t i = 0; i < sizes.size(); i++)
        for (const int batch : batches) {
          const auto& [h, w] = sizes[i];
          // Long prompts, which are three parts of 77 tokens, with odd sizes.
          const bool is_long = i > 0 && i + 1 == sizes.size();
          const Size size{h, w, batch, frames, is_long && published.tokens == 77 ? 231 : published.tokens};
          std::string name = model + (backend->fp8() ? " fp8" : "") + " unet b" + std::to_string(batch) + " " + text_of(sizes[i]);
          if (frames > 1) name += " " + std::to_string(frames) + " frames";
          gpu.pass(name, [&] { unet.run(size, i == 0 && batch <= 2); });
        }
    if (model != published.folder || backend->fp8()) continue;
    Parts parts(gpu, backend, batches, model);
    for (const char* part : {"text_encoder", "text_encoder_2"}) parts.text(part);
    parts.image_encoder();
    parts.vae(sizes);
  }
}

}  // namespace deepcache::launches

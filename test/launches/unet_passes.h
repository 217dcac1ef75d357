#pragma once

#include "dry_gpu.h"
#include "models/unet_session.h"

namespace deepcache::launches {

// Of a run.
struct Size {
  int height, width;  // of latents
  int images, frames, tokens;
};

// Denoising runs of one U-Net: sessions as pipelines make them, full and retrieve steps of both
// guidance halves and of one, and the sampler's loop around them.
class UnetPasses {
 public:
  UnetPasses(UnetConfig config, std::shared_ptr<DryBackend> backend, bool guided);
  // `deep`: keeps features of deep branches too, and retrieves them.
  void run(const Size& size, bool deep);

 private:
  UnetConditions conditions(const UnetShape& shape);
  void loop(UnetSession& session, int halves);

  const bool guided_;
  Unet unet_;
  std::shared_ptr<DryBackend> backend_;
  std::vector<float> zeros_;
  std::set<std::vector<int>> conditioned_;  // shapes whose prompts were prepared
};

}  // namespace deepcache::launches

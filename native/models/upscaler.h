#pragma once

#include <vector>

#include "model.h"
#include "super_resolution.h"

namespace deepcache {

// A loaded network that enlarges pictures.
class Upscaler : public Model {
 public:
  Upscaler(const SuperResolutionConfig& config, std::shared_ptr<WeightSource> source,
           std::shared_ptr<Backend> backend);

  const SuperResolutionConfig& config() const { return config_; }

  // [n, in, h, w] -> [n, out, h * scale, w * scale].
  std::vector<float> run(const float* image, int batch, int height, int width, Shape* shape,
                         const CancelFlag* cancel);

 private:
  SuperResolutionConfig config_;
};

}  // namespace deepcache

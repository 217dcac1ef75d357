#pragma once

#include <memory>
#include <vector>

#include "clip_vision.h"
#include "model.h"

namespace deepcache {

struct ImageEncoding {
  std::vector<float> penultimate,
      last;                   // [n, tokens, width], behind the last layer but one, and all
  std::vector<float> embeds;  // [n, projection]
};

// A loaded CLIP image encoder.
class ImageEncoder : public Model {
 public:
  ImageEncoder(const ClipVisionConfig& config, std::shared_ptr<WeightSource> source,
               std::shared_ptr<Backend> backend);

  const ClipVisionConfig& config() const { return config_; }

  // pixels: [n, channels, size, size], normalised.
  ImageEncoding encode(const float* pixels, int batch, const CancelFlag* cancel);

 private:
  ClipVisionConfig config_;
};

}  // namespace deepcache

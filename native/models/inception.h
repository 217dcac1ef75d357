#pragma once

#include <vector>

#include "inception_plan.h"
#include "model.h"

namespace deepcache {

// A loaded Inception v3.
class Inception : public Model {
 public:
  Inception(std::shared_ptr<WeightSource> source, std::shared_ptr<Backend> backend);

  // pixels: [n, 3, 299, 299] from -1 to 1 -> [n, 2048].
  std::vector<float> features(const float* pixels, int batch, const CancelFlag* cancel);
};

}  // namespace deepcache

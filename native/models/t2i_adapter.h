#pragma once

#include <vector>

#include "model.h"
#include "t2i_adapter_plan.h"

namespace deepcache {

// A loaded T2I-Adapter.
class T2iAdapter : public Model {
 public:
  T2iAdapter(const T2iAdapterConfig& config, std::shared_ptr<WeightSource> source,
             std::shared_ptr<Backend> backend);

  const T2iAdapterConfig& config() const { return config_; }

  // image [n, in, height, width] from 0 to 1 -> features [n, c, h, w].
  std::vector<std::vector<float>> encode(const float* image, int batch, int height, int width,
                                         const CancelFlag* cancel);

 private:
  T2iAdapterConfig config_;
};

}  // namespace deepcache

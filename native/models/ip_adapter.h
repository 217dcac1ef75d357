#pragma once

#include <memory>
#include <vector>

#include "ip_adapter_plan.h"
#include "model.h"

namespace deepcache {

// A loaded IP-Adapter.
class IpAdapter : public Model {
 public:
  IpAdapter(const IpAdapterConfig& config, std::shared_ptr<WeightSource> source,
            std::shared_ptr<Backend> backend);

  const IpAdapterConfig& config() const { return config_; }

  // What an image encoder made of pictures, [n, length, image width] -> [n, tokens, context width].
  std::vector<float> project(const float* image, int batch, int length, const CancelFlag* cancel);

  // Fills the buffers of ports extra_context.<first> and those behind it. `tokens`: [batch, count,
  // context width]; `scales`: of each cross attention.
  void fill_keys(const float* tokens, int batch, int count, const std::vector<float>& scales,
                 const Buffers& buffers, int first, const CancelFlag* cancel);

 private:
  IpAdapterConfig config_;
};

}  // namespace deepcache

#pragma once

#include <vector>

#include "clip_text.h"
#include "model.h"

namespace deepcache {

// Of tokens behind the vocabulary, for one call.
constexpr size_t kMostAddedRows = 1 << 14;

struct TextEncoding {
  int batch = 0, length = 0, width = 0, pooled_width = 0;
  std::vector<float> last;                 // [n, length, width]
  std::vector<float> pooled;               // [n, pooled width]
  std::vector<std::vector<float>> hidden;  // the states asked for, each [n, length, width]
};

// A loaded CLIP text encoder.
class TextEncoder : public Model {
 public:
  TextEncoder(const ClipTextConfig& config, std::shared_ptr<WeightSource> source,
              std::shared_ptr<Backend> backend);

  const ClipTextConfig& config() const { return config_; }

  // `skip`: how many of the last layers `last` leaves out (diffusers' clip_skip). `hidden`:
  // indices of hidden states, 0 (embeddings) to the number of layers. `added`: [rows, width], the
  // embeddings of the ids behind the vocabulary (textual inversion); they belong to this call.
  TextEncoding encode(const std::vector<int32_t>& ids, int batch, int length, int skip,
                      const std::vector<int>& hidden, const CancelFlag* cancel,
                      const std::vector<float>& added = {});

 private:
  ClipTextConfig config_;
};

}  // namespace deepcache

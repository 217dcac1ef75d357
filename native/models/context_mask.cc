#include "context_mask.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "../runtime/error.h"

namespace deepcache {
namespace {

constexpr int64_t kMostValues = int64_t(1) << 28;

}  // namespace

MaskedContexts without_masked(const float* context, const std::vector<bool>& kept, int samples,
                              int length, int width, int longest) {
  std::vector<std::vector<int>> tokens;
  MaskedContexts out{.values = {}, .length = 1};
  for (int sample = 0; sample < samples; ++sample) {
    std::vector<int> own;
    for (int i = 0; i < length; ++i)
      if (kept[size_t(sample) * size_t(length) + size_t(i)]) own.push_back(i);
    if (own.empty()) {
      own.resize(size_t(length));
      std::iota(own.begin(), own.end(), 0);
    }
    const int64_t together = std::lcm(int64_t(out.length), int64_t(own.size()));
    if (together > longest || together * samples * width > kMostValues)
      throw Error(ErrorCode::kUnsupported,
                  "a mask that leaves the samples of a batch with so different numbers of tokens");
    out.length = int(together);
    tokens.push_back(std::move(own));
  }
  for (int sample = 0; sample < samples; ++sample) {
    const std::vector<int>& own = tokens[size_t(sample)];
    for (int i = 0; i < out.length; ++i) {
      const float* from =
          context +
          (size_t(sample) * size_t(length) + size_t(own[size_t(i) % own.size()])) * size_t(width);
      out.values.insert(out.values.end(), from, from + width);
    }
  }
  return out;
}

}  // namespace deepcache

#pragma once

#include <string>
#include <vector>

namespace deepcache::bench {

// What calls, runs and ops of models should take on an H200, by the model of time_model.h and from
// the plans themselves; rows are named as those of `time`, so that measurements can be held against
// them. `type`: fp16, bf16 or fp8. Ops are those of the first of `batches`.
void predict(const std::vector<std::string>& models, const std::vector<int>& batches,
             const std::vector<int>& intervals, int steps, const std::string& type,
             const std::string& filter, const std::string& json);

}  // namespace deepcache::bench

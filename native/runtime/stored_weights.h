#pragma once

// Weights as they lie in files: safetensors, or any others of which somebody says where in them
// the tensors are.

#include <memory>
#include <string>
#include <vector>

#include "weights.h"

namespace deepcache {

// One tensor of a file. `shape` is what the model wants; `transposed`: the values of an [out, in]
// lie there as those of an [in, out].
struct StoredTensor {
  std::string name, file, dtype;  // dtype in safetensors' words: "F32", "F8_E4M3", ...
  std::vector<int64_t> shape;
  uint64_t offset = 0;  // of the first byte in the file
  bool transposed = false;
};

// All tensors of the files (several shards of one model). Throws Error(kInvalidWeights) when two
// files hold the same name; find() does for a tensor of a dtype that cannot be computed with.
std::shared_ptr<WeightSource> open_weights(const std::vector<std::string>& paths);

// The tensors that a table names; values may belong to several of them. Each file is opened once.
// Throws Error(kInvalidWeights) for an unknown dtype, a shape that cannot be, values outside of
// their file, and a name that occurs twice; find() as that of open_weights.
std::shared_ptr<WeightSource> open_table(const std::vector<StoredTensor>& table);

}  // namespace deepcache

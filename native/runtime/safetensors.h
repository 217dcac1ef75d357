#pragma once

// safetensors files, mapped read-only and checked before anything is believed.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "weights.h"

namespace deepcache {

// A tensor of any dtype that the format knows; SourceTensor covers the ones that weights may have.
struct TensorInfo {
  std::string name, dtype;  // "F32", "F16", "BF16", "I64", ...
  std::vector<int64_t> shape;
  size_t offset = 0, bytes = 0;  // in the file
};

class SafetensorsFile {
 public:
  // Throws Error(kInvalidWeights) naming the file and what is wrong with it.
  static std::shared_ptr<SafetensorsFile> open(const std::string& path);
  // The same checks over bytes in memory (tests and fuzzing).
  static std::vector<TensorInfo> parse(const unsigned char* data, size_t size,
                                       const std::string& path,
                                       std::map<std::string, std::string>* metadata = nullptr);
  ~SafetensorsFile();
  SafetensorsFile(const SafetensorsFile&) = delete;

  const std::string& path() const { return path_; }
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const unsigned char* data(const TensorInfo& info) const { return map_ + info.offset; }

 private:
  SafetensorsFile() = default;

  std::string path_;
  const unsigned char* map_ = nullptr;
  size_t size_ = 0;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, std::string> metadata_;
};

// All floating point tensors of the files (several shards of one model). Throws when two files
// hold the same name.
std::shared_ptr<WeightSource> open_weights(const std::vector<std::string>& paths);

}  // namespace deepcache

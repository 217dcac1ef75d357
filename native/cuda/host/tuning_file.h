#pragma once

// Where measured tiles are kept between runs: a file for each GPU, driver and version of the
// library, in DEEPCACHE_CACHE_DIR, or else the user's cache folder.

#include <string>

#include "cuda/api.h"

namespace deepcache::cuda {

class TuningFile {
 public:
  TuningFile(const Api& api, const DeviceInfo& info);
  // Its text, empty when there is none.
  std::string read() const;
  // Throws Error(kInvalidArgument) when it cannot be written.
  void write(const std::string& text) const;
  const std::string& path() const { return path_; }

 private:
  std::string folder_, path_;
};

// Whether DEEPCACHE_TUNE asks for measurements: any value but 0.
bool tuning_is_asked_for();

}  // namespace deepcache::cuda

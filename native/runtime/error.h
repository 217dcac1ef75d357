#pragma once

#include <stdexcept>
#include <string>

namespace deepcache {

// The codes of lib/errors.ts.
enum class ErrorCode {
  kInvalidArgument,
  kInvalidConfig,
  kInvalidWeights,
  kUnsupported,
  kOutOfMemory,
  kBackendUnavailable,
  kNotFinite,
  kAborted,
  kDisposed,
  kInternal,
};

// ERR_DEEPCACHE_..., as JavaScript sees it.
const char* error_code_name(ErrorCode code);

// The one exception of the runtime. The message says what was wrong and what to do.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace deepcache

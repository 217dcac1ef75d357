#include "error.h"

namespace deepcache {

const char* error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "ERR_DEEPCACHE_INVALID_ARGUMENT";
    case ErrorCode::kInvalidConfig:
      return "ERR_DEEPCACHE_INVALID_CONFIG";
    case ErrorCode::kInvalidWeights:
      return "ERR_DEEPCACHE_INVALID_WEIGHTS";
    case ErrorCode::kUnsupported:
      return "ERR_DEEPCACHE_UNSUPPORTED";
    case ErrorCode::kOutOfMemory:
      return "ERR_DEEPCACHE_OUT_OF_MEMORY";
    case ErrorCode::kBackendUnavailable:
      return "ERR_DEEPCACHE_BACKEND_UNAVAILABLE";
    case ErrorCode::kNotFinite:
      return "ERR_DEEPCACHE_NOT_FINITE";
    case ErrorCode::kAborted:
      return "ERR_DEEPCACHE_ABORTED";
    case ErrorCode::kDisposed:
      return "ERR_DEEPCACHE_DISPOSED";
    case ErrorCode::kInternal:
      break;
  }
  return "ERR_DEEPCACHE_INTERNAL";
}

}  // namespace deepcache

#pragma once

// What an op keeps in its workspace, one part behind the other.

#include "cuda/gpu.h"

namespace deepcache::cuda {

// Where values of type T lie in a workspace.
template <typename T>
struct WorkspacePart {
  size_t at = 0;
  T* in(void* workspace) const { return reinterpret_cast<T*>(static_cast<char*>(workspace) + at); }
};

class WorkspaceLayout {
 public:
  template <typename T>
  WorkspacePart<T> add(size_t count) {
    const WorkspacePart<T> part{bytes_};
    bytes_ += gpu::aligned_size(count * sizeof(T));
    return part;
  }
  size_t bytes() const { return bytes_; }

 private:
  size_t bytes_ = 0;
};

}  // namespace deepcache::cuda

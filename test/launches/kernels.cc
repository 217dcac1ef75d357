#include "kernels.h"

#include <dlfcn.h>

#include <fstream>

#include "runtime/error.h"

namespace deepcache::launches {

Kernels::Kernels(const std::string& path) {
  std::ifstream in(path);
  Dl_info info;
  static const char here = 0;
  if (!in || !dladdr(&here, &info))
    throw Error(ErrorCode::kInvalidArgument, "cannot read the kernels of " + path);
  size_t offset;
  Kernel kernel;
  while (in >> std::hex >> offset >> std::dec >> kernel.registers >> kernel.static_bytes >>
         std::ws) {
    std::getline(in, kernel.name);
    kernels_[static_cast<const char*>(info.dli_fbase) + offset] = kernel;
  }
}

const Kernel& Kernels::find(const void* kernel) const {
  const auto found = kernels_.find(kernel);
  if (found == kernels_.end())
    throw Error(ErrorCode::kInternal, "a launch of a function that is no known kernel");
  return found->second;
}

}  // namespace deepcache::launches

#include "cuda_library.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

#if defined(_WIN32)
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace deepcache::addon {
namespace {

#if defined(_WIN32)
constexpr const char* kFile = "deepcache_cuda.dll";
#elif defined(__APPLE__)
constexpr const char* kFile = "libdeepcache_cuda.dylib";
#else
constexpr const char* kFile = "libdeepcache_cuda.so";
#endif

// The folder of this very addon: build/Release or prebuilds/<platform>-<arch>.
std::filesystem::path own_folder() {
#if defined(_WIN32)
  HMODULE self = nullptr;
  GetModuleHandleExA(
      GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
      reinterpret_cast<LPCSTR>(&own_folder), &self);
  char file[MAX_PATH] = "";
  GetModuleFileNameA(self, file, sizeof file);
  return std::filesystem::path(file).parent_path();
#else
  Dl_info info;
  if (!dladdr(reinterpret_cast<void*>(&own_folder), &info) || !info.dli_fname) return ".";
  return std::filesystem::path(info.dli_fname).parent_path();
#endif
}

void* open_library(const std::string& path, std::string* why) {
#if defined(_WIN32)
  void* library = LoadLibraryExA(path.c_str(), nullptr, LOAD_WITH_ALTERED_SEARCH_PATH);
  if (!library) *why = "LoadLibrary error " + std::to_string(GetLastError());
#else
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) *why = dlerror();
#endif
  return library;
}

}  // namespace

std::string why_no_cuda() {
  const char* wanted = std::getenv("DEEPCACHE_CUDA_LIBRARY");
  const std::string path = wanted && *wanted ? wanted : (own_folder() / kFile).string();
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored))
    return "this installation has no CUDA library (" + path + " does not exist)";
  std::string why;
  if (!open_library(path, &why)) return "the CUDA library could not be loaded: " + why;
  return "the CUDA library belongs to another version of deepcache (" + path + ")";
}

}  // namespace deepcache::addon

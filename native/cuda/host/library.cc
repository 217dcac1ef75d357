#include "cuda/host/library.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <system_error>

#include "cuda/host/backend.h"
#include "cuda_build.h"

#if defined(_WIN32)
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace deepcache::cuda {
namespace {

#if defined(_WIN32)
constexpr const char* kFile = "deepcache_cuda.dll";
#elif defined(__APPLE__)
constexpr const char* kFile = "libdeepcache_cuda.dylib";
#else
constexpr const char* kFile = "libdeepcache_cuda.so";
#endif

std::mutex mutex;
std::string elsewhere;  // of set_library

// The folder of the addon or executable that this code is part of.
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

void* find_symbol(void* library, const char* name) {
#if defined(_WIN32)
  return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(library), name));
#else
  return dlsym(library, name);
#endif
}

[[noreturn]] void unavailable(const std::string& why) {
  throw Error(ErrorCode::kBackendUnavailable, why);
}

bool exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

std::string choose(const std::string& elsewhere) {
  if (const char* wanted = std::getenv("DEEPCACHE_CUDA_LIBRARY"); wanted && *wanted) return wanted;
  const std::string beside = (own_folder() / kFile).string();
  return exists(beside) || elsewhere.empty() ? beside : elsewhere;
}

// Loaded once and never unloaded: the CUDA runtime inside does not like to be.
const Api* load(const std::string& path) {
  if (!exists(path))
    unavailable("this installation has no CUDA library (" + path +
                " does not exist): npx deepcache build --cuda makes one, and where there is one "
                "published it comes in the package @deepcache/<platform>-cuda");
  std::string why;
  void* const library = open_library(path, &why);
  if (!library) unavailable("the CUDA library could not be loaded: " + why);
  const auto get = reinterpret_cast<const Api* (*)()>(find_symbol(library, "deepcache_cuda_api"));
  const Api* const api = get ? get() : nullptr;
  if (!api || api->abi != DEEPCACHE_CUDA_ABI || std::string(api->build) != DEEPCACHE_CUDA_BUILD)
    unavailable("the CUDA library belongs to another version of deepcache (" + path + ")");
  return api;
}

}  // namespace

void set_library(const std::string& path) {
  const std::lock_guard lock(mutex);
  elsewhere = path;
}

const Api& library() {
  static const Api* api = nullptr;
  const std::lock_guard lock(mutex);
  if (!api) api = load(choose(elsewhere));
  return *api;
}

int device_count() {
  int count = 0;
  call(library().device_count, &count);
  return count;
}

std::optional<int> device_index(const std::string& device) {
  if (device == "cuda") return 0;
  if (!device.starts_with("cuda:") || device.size() < 6 || device.size() > 9 ||
      !std::all_of(device.begin() + 5, device.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return {};
  return std::stoi(device.substr(5));
}

std::unique_ptr<Backend> open_device(const std::string& device, ActivationType type, bool fp8) {
  try {
    return std::make_unique<CudaBackend>(library(), device_index(device).value(), type, fp8);
  } catch (const Error& error) {
    throw Error(error.code(), "device '" + device + "' is not available: " + error.what());
  }
}

}  // namespace deepcache::cuda

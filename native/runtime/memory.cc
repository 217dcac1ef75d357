#include "memory.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string_view>

#include "error.h"
#include "ledger.h"

#if defined(_WIN32)
#include <windows.h>
#elif defined(__APPLE__)
#include <mach/mach.h>
#include <unistd.h>
#endif

namespace deepcache {
namespace {

std::optional<size_t> parse_size(std::string_view text) {
  size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// A file that holds one number. "max" (no limit) is none.
std::optional<size_t> read_size(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  return file >> word ? parse_size(word) : std::nullopt;
}

// The number after `key` in a file of "key number" lines.
std::optional<size_t> read_field(const std::string& path, std::string_view key) {
  std::ifstream file(path);
  std::string word, number;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    if (words >> word >> number && word == key) return parse_size(number);
  }
  return std::nullopt;
}

// The names of one control group version's files.
struct CgroupFiles {
  const char* limit;
  const char* usage;
  const char* reclaimable;  // in memory.stat: file pages that the kernel drops on demand
};
constexpr CgroupFiles kVersion1{"memory.limit_in_bytes", "memory.usage_in_bytes",
                                "total_inactive_file"};
constexpr CgroupFiles kVersion2{"memory.max", "memory.current", "inactive_file"};

// The least that the group and its ancestors leave. Inside a container the group's path often
// does not exist under the mount; the mount's root is then the container's own group.
size_t left_in_cgroup(const std::string& mount, std::string group, const CgroupFiles& files) {
  size_t least = SIZE_MAX;
  if (group == "/") group.clear();
  while (true) {
    const std::string folder = mount + group + "/";
    const auto limit = read_size(folder + files.limit);
    const auto usage = read_size(folder + files.usage);
    if (limit && usage) {
      const size_t reclaimable = read_field(folder + "memory.stat", files.reclaimable).value_or(0);
      const size_t held = *usage - std::min(*usage, reclaimable);
      least = std::min(least, *limit - std::min(*limit, held));
    }
    if (group.empty()) return least;
    group.erase(group.rfind('/') == std::string::npos ? 0 : group.rfind('/'));
  }
}

// Lines of /proc/self/cgroup: "0::/path" (version 2) or "4:memory:/path" (version 1).
size_t left_in_cgroups(const std::string& root) {
  size_t least = SIZE_MAX;
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string group = line.substr(second + 1);
    const std::string mount = root + "/sys/fs/cgroup";
    if (controllers == ",,") {
      least = std::min(least, left_in_cgroup(mount, group, kVersion2));
      least = std::min(least, left_in_cgroup(mount + "/unified", group, kVersion2));
    } else if (controllers.find(",memory,") != std::string::npos) {
      least = std::min(least, left_in_cgroup(mount + "/memory", group, kVersion1));
    }
  }
  return least;
}

// What programs can get without others' being swapped out.
#if defined(_WIN32)
size_t free_memory() {
  MEMORYSTATUSEX status{};
  status.dwLength = sizeof status;
  return GlobalMemoryStatusEx(&status) ? size_t(status.ullAvailPhys) : SIZE_MAX;
}
#elif defined(__APPLE__)
size_t free_memory() {
  vm_statistics64_data_t pages{};
  mach_msg_type_number_t count = HOST_VM_INFO64_COUNT;
  const auto kind = HOST_VM_INFO64;
  if (host_statistics64(mach_host_self(), kind, reinterpret_cast<host_info64_t>(&pages), &count))
    return SIZE_MAX;
  return (size_t(pages.free_count) + pages.inactive_count) * size_t(getpagesize());
}
#else
size_t free_memory() { return available_memory_under(""); }
#endif

}  // namespace

size_t available_memory_under(const std::string& root) {
  size_t available = SIZE_MAX;
  // In KiB. Absent from kernels before 3.14.
  for (const char* key : {"MemAvailable:", "MemFree:"}) {
    const auto value = read_field(root + "/proc/meminfo", key);
    if (value) {
      available = *value * 1024;
      break;
    }
  }
  return std::min(available, left_in_cgroups(root));
}

size_t available_memory() {
  if (const char* text = std::getenv("DEEPCACHE_MEMORY_LIMIT"); text && *text) {
    const auto limit = parse_size(text);
    if (!limit)
      throw Error(ErrorCode::kInvalidArgument,
                  std::string("the environment variable DEEPCACHE_MEMORY_LIMIT is \"") + text +
                      "\": give a number of bytes");
    return *limit;
  }
  const size_t available = free_memory();
  return available - std::min(available, untouched_bytes());
}

std::string format_bytes(size_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + " bytes";
  static constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = double(bytes) / 1024;
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) value /= 1024, unit++;
  char text[32];
  std::snprintf(text, sizeof text, "%.2f %s", value, kUnits[unit]);
  return text;
}

}  // namespace deepcache

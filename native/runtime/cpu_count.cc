#include "cpu_count.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

namespace deepcache {
namespace {

#if defined(__linux__)
// CPUs' worth of time that a cgroup may take; infinity without a limit.
double quota(const std::string& folder) {
  std::string most;
  double period = 0;
  if (std::ifstream file(folder + "/cpu.max"); file >> most >> period)
    return most == "max" || period <= 0 ? INFINITY : std::strtod(most.c_str(), nullptr) / period;
  double micros = -1;
  std::ifstream v1_quota(folder + "/cpu.cfs_quota_us"), v1_period(folder + "/cpu.cfs_period_us");
  if (v1_quota >> micros && v1_period >> period && micros > 0 && period > 0) return micros / period;
  return INFINITY;
}

// The lowest quota of the process's cgroups and their ancestors.
double cgroup_cpus() {
  double least = INFINITY;
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // id:controllers:path
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string mount = "/sys/fs/cgroup";
    if (!controllers.empty()) {
      if (("," + controllers + ",").find(",cpu,") == std::string::npos) continue;
      mount += "/cpu";
    }
    for (std::string path = line.substr(second + 1); !path.empty();
         path.resize(std::min(path.rfind('/'), path.size())))
      least = std::min(least, quota(mount + path));
    least = std::min(least, quota(mount));
  }
  return least;
}
#endif

}  // namespace

int available_cpus() {
  int count = std::max(1, int(std::thread::hardware_concurrency()));
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) count = std::max(1, CPU_COUNT(&set));
  const double limit = cgroup_cpus();
  if (limit < count) count = std::max(1, int(std::ceil(limit)));
#endif
  return count;
}

}  // namespace deepcache

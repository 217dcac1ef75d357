#pragma once

namespace deepcache {

// CPUs that this process may use: its affinity mask and its cgroup's quota, at least 1.
int available_cpus();

}  // namespace deepcache

#include "thread_priority.h"

#if defined(__linux__)
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#endif

namespace deepcache {
namespace {

#if defined(__linux__)

constexpr int kNice = 5;
// Linux's own are 0.7 to 2.8 milliseconds by the count of cores.
constexpr uint64_t kLong = 20'000'000, kShort = 100'000;

// sched_attr of linux/sched/types.h, which newer C libraries define, too.
struct Attributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
};

int nice_of_thread() { return getpriority(PRIO_PROCESS, 0); }

void set_slice(uint64_t nanoseconds) {
  const int policy = sched_getscheduler(0);
  // Whoever started the process with another one knows better.
  if (policy != SCHED_OTHER) return;
  const Attributes attributes{.size = sizeof(Attributes),
                              .policy = uint32_t(policy),
                              .flags = 0,
                              .nice = nice_of_thread(),
                              .priority = 0,
                              .runtime = nanoseconds,
                              .deadline = 0,
                              .period = 0};
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

#endif

}  // namespace

void lower_thread_priority() {
#if defined(__linux__)
  setpriority(PRIO_PROCESS, 0, std::max(kNice, nice_of_thread()));
  set_slice(kLong);
#endif
}

void shorten_thread_slices() {
#if defined(__linux__)
  set_slice(kShort);
#endif
}

}  // namespace deepcache

#include "runtime/memory.h"

#include <cstdlib>

#include "runtime/backend.h"
#include "runtime/error.h"
#include "temporary_folder.h"
#include "test.h"

using namespace deepcache;
using deepcache::test::TemporaryFolder;

namespace {

constexpr size_t kMiB = size_t(1) << 20;

// 8 GiB available in the machine.
void write_meminfo(const TemporaryFolder& root) {
  root.write("proc/meminfo",
             "MemTotal:       16777216 kB\nMemFree:         1048576 kB\n"
             "MemAvailable:    8388608 kB\n");
}

class LimitVariable {
 public:
  explicit LimitVariable(const char* value) { setenv("DEEPCACHE_MEMORY_LIMIT", value, 1); }
  ~LimitVariable() { unsetenv("DEEPCACHE_MEMORY_LIMIT"); }
};

}  // namespace

TEST(memory_without_groups) {
  TemporaryFolder root;
  write_meminfo(root);
  CHECK_EQ(available_memory_under(root.path()), 8192 * kMiB);
  root.write("proc/self/cgroup", "0::/\n");
  CHECK_EQ(available_memory_under(root.path()), 8192 * kMiB);
}

TEST(memory_group_v2) {
  TemporaryFolder root;
  write_meminfo(root);
  root.write("proc/self/cgroup", "1:name=systemd:/\n0::/a/b\n");
  root.write("sys/fs/cgroup/a/b/memory.max", "max\n");
  root.write("sys/fs/cgroup/a/b/memory.current", "1\n");
  // The parent limits: 1000 MiB, 600 used, of which 200 can be dropped.
  root.write("sys/fs/cgroup/a/memory.max", std::to_string(1000 * kMiB) + "\n");
  root.write("sys/fs/cgroup/a/memory.current", std::to_string(600 * kMiB) + "\n");
  root.write("sys/fs/cgroup/a/memory.stat",
             "anon 5\ninactive_file " + std::to_string(200 * kMiB) + "\nactive_file 7\n");
  CHECK_EQ(available_memory_under(root.path()), 600 * kMiB);
  // A container sees its own limit at the mount's root, though its path lies elsewhere.
  root.write("proc/self/cgroup", "0::/docker/0123\n");
  root.write("sys/fs/cgroup/memory.max", std::to_string(300 * kMiB) + "\n");
  root.write("sys/fs/cgroup/memory.current", std::to_string(400 * kMiB) + "\n");
  CHECK_EQ(available_memory_under(root.path()), size_t(0));
}

TEST(memory_group_v1) {
  TemporaryFolder root;
  write_meminfo(root);
  root.write("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/x\n0::/\n");
  root.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  root.write("sys/fs/cgroup/memory/memory.usage_in_bytes", "4096\n");
  CHECK_EQ(available_memory_under(root.path()), 8192 * kMiB);
  root.write("sys/fs/cgroup/memory/x/memory.limit_in_bytes", std::to_string(64 * kMiB) + "\n");
  root.write("sys/fs/cgroup/memory/x/memory.usage_in_bytes", std::to_string(32 * kMiB) + "\n");
  root.write("sys/fs/cgroup/memory/x/memory.stat",
             "inactive_file 1\ntotal_inactive_file " + std::to_string(2 * kMiB) + "\n");
  CHECK_EQ(available_memory_under(root.path()), 34 * kMiB);
}

TEST(memory_of_this_machine) {
  CHECK(available_memory() > kMiB);
  CHECK(available_memory() < size_t(1) << 50);
}

TEST(memory_limit_variable) {
  {
    LimitVariable limit("1048576");
    CHECK_EQ(available_memory(), kMiB);
    const auto backend = make_cpu_backend(1);
    backend->reserve(kMiB, "the model");
    try {
      backend->reserve(kMiB + kMiB / 2, "the model");
      CHECK(false);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kOutOfMemory);
      const std::string message = error.what();
      CHECK(message.find("the model needs about 1.50 MiB") == 0);
      CHECK(message.find("only 1.00 MiB") != std::string::npos);
    }
  }
  LimitVariable limit("1G");
  CHECK_THROWS(available_memory(), ErrorCode::kInvalidArgument);
}

TEST(memory_format) {
  CHECK_EQ(format_bytes(0), std::string("0 bytes"));
  CHECK_EQ(format_bytes(1023), std::string("1023 bytes"));
  CHECK_EQ(format_bytes(1536), std::string("1.50 KiB"));
  CHECK_EQ(format_bytes(size_t(5) << 28), std::string("1.25 GiB"));
}

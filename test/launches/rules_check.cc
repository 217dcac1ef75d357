// Each rule by itself: a launch that every GPU takes, with one thing changed.

#include <cstdio>
#include <functional>

#include "rules.h"

namespace deepcache::launches {
namespace {

struct Case {
  const char* what;  // must be among what is said; empty: nothing is wrong
  std::function<void(emulator::Launch&, Kernel&)> change;
  const char* gpu = "H200";
};

const std::vector<Case>& cases() {
  using emulator::Launch;
  static const std::vector<Case> all = {
      {"", [](Launch&, Kernel&) {}},
      {"", [](Launch&, Kernel&) {}, "A100"},
      {"without blocks", [](Launch& l, Kernel&) { l.size.grid.x = 0; }},
      {"along x", [](Launch& l, Kernel&) { l.size.grid.x = 1u << 31; }},
      {"", [](Launch& l, Kernel&) { l.size.grid.y = 65535; }},
      {"along y or z", [](Launch& l, Kernel&) { l.size.grid.y = 65536; }},
      {"threads in a block", [](Launch& l, Kernel& k) { l.size.block = dim3(513, 2), k.registers = 32; }},
      {"1024, 1024, 64", [](Launch& l, Kernel&) { l.size.block = dim3(1, 1, 65); }},
      {"arguments", [](Launch& l, Kernel&) { l.parameter_bytes = 4100; }},
      {"", [](Launch& l, Kernel&) { l.size.shared_bytes = 40 << 10; }},
      {"of dynamic", [](Launch& l, Kernel&) { l.size.shared_bytes = (40 << 10) + 1; }},
      {"", [](Launch& l, Kernel&) { l.size.shared_bytes = 219 << 10, l.size.shared_limit = 227 << 10; }},
      {"were allowed", [](Launch& l, Kernel&) { l.size.shared_limit = 228 << 10; }},
      {"were allowed", [](Launch& l, Kernel&) { l.size.shared_limit = 164 << 10; }, "A100"},
      {"", [](Launch& l, Kernel& k) { l.size.block = dim3(512), k.registers = 128; }},
      {"registers in a block", [](Launch& l, Kernel& k) { l.size.block = dim3(512), k.registers = 129; }},
      {"255 registers", [](Launch&, Kernel& k) { k.registers = 256; }},
      {"", [](Launch& l, Kernel&) { l.overlaps = true; }},
      {"overlaps", [](Launch& l, Kernel&) { l.overlaps = true; }, "A100"},
      {"", [](Launch& l, Kernel&) { l.size.cluster = 8; }},
      {"", [](Launch& l, Kernel&) { l.size.cluster = 8; }, "RTX 5090"},
      {"has none", [](Launch& l, Kernel&) { l.size.cluster = 2; }, "RTX 4090"},
      {"are portable", [](Launch& l, Kernel&) { l.size.cluster = 16; }},
      {"in clusters of", [](Launch& l, Kernel&) { l.size.cluster = 3; }},
      {"no block fits", [](Launch& l, Kernel&) { l.size.block = dim3(1024); }, "none"},
  };
  return all;
}

bool holds(const Case& test) {
  // A GPU so small that it holds nothing.
  static const emulator::Chip none = {"none", 9, 0, "90a", 1, 1, 512, 1, 100 << 10, 99 << 10};
  const emulator::Chip* chip = emulator::find_chip(test.gpu);
  emulator::Launch launch;
  launch.size = {dim3(64), dim3(256), 1 << 10, 48 << 10, 1};
  Kernel kernel{"a kernel", 64, 8 << 10};
  test.change(launch, kernel);
  const std::vector<std::string> broken = broken_rules(launch, kernel, chip ? *chip : none);
  if (!*test.what) return broken.empty();
  return broken.size() == 1 && broken[0].find(test.what) != std::string::npos;
}

}  // namespace

int check_rules() {
  int failed = 0;
  for (const Case& test : cases()) {
    if (holds(test)) continue;
    std::printf("FAILED: the rule \"%s\" on %s\n", test.what, test.gpu);
    failed++;
  }
  std::printf("%d passed, %d failed\n", int(cases().size()) - failed, failed);
  return failed > 0;
}

}  // namespace deepcache::launches

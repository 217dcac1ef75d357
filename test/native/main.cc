// native_tests [filter...]: runs the tests whose names contain one of the filters, or all.

#include <chrono>
#include <cstdio>
#include <exception>

#include "test.h"

namespace deepcache::test {

std::vector<Case>& registry() {
  static std::vector<Case> cases;
  return cases;
}

}  // namespace deepcache::test

int main(int argc, char** argv) {
  using namespace deepcache::test;
  int passed = 0, failed = 0, skipped = 0;
  for (const Case& test : registry()) {
    bool wanted = argc < 2;
    for (int i = 1; i < argc; i++) wanted |= test.name.find(argv[i]) != std::string::npos;
    if (!wanted) continue;
    const auto start = std::chrono::steady_clock::now();
    std::string outcome = "ok";
    try {
      test.function();
      passed++;
    } catch (const Skip& skip) {
      outcome = std::string("skipped: ") + skip.what();
      skipped++;
    } catch (const std::exception& error) {
      outcome = std::string("FAILED: ") + error.what();
      failed++;
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    std::printf("%-50s %7.2f s  %s\n", test.name.c_str(), seconds.count(), outcome.c_str());
    std::fflush(stdout);
  }
  if (skipped) std::printf("%d skipped\n", skipped);
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed || !passed;
}

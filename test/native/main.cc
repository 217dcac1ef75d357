// native_tests [--list] [filter...]: runs, or only lists, the tests whose names contain one of the
// filters, or all. "=NAME" is the test of just that name.

#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <vector>

#include "test.h"

namespace deepcache::test {

std::vector<Case>& registry() {
  static std::vector<Case> cases;
  return cases;
}

namespace {

bool matches(const std::string& name, const std::vector<std::string>& filters) {
  for (const std::string& filter : filters)
    if (filter[0] == '=' ? name == filter.substr(1) : name.find(filter) != std::string::npos)
      return true;
  return filters.empty();
}

}  // namespace
}  // namespace deepcache::test

int main(int argc, char** argv) {
  using namespace deepcache::test;
  const bool lists = argc > 1 && std::strcmp(argv[1], "--list") == 0;
  const std::vector<std::string> filters(argv + 1 + lists, argv + argc);
  int passed = 0, failed = 0, skipped = 0;
  for (const Case& test : registry()) {
    if (!matches(test.name, filters)) continue;
    if (lists) {
      std::puts(test.name.c_str());
      continue;
    }
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
  if (lists) return 0;
  if (skipped) std::printf("%d skipped\n", skipped);
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed || !passed;
}

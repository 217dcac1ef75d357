// deepcache-bench: measures and checks the runtime without Node.

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "../native/runtime/error.h"
#include "cpu_models.h"
#include "cpu_ops.h"
#include "fullsize.h"

namespace {

constexpr const char* kUsage =
    "usage: deepcache-bench COMMAND [OPTION VALUE]...\n"
    "  cpu        SD1.5 on the CPU: U-Net forward, retrieve step, VAE decode, share of peak\n"
    "             [--threads N] [--repeat 3] [--filter NAME] [--json FILE]\n"
    "  ops        the CPU backend's ops, one shape at a time [--threads N] [--filter NAME]\n"
    "  fullsize   a real U-Net on synthetic weights against reference outputs\n"
    "             --config FILE --outputs FILE [--tolerance 1e-5] [--threads N]\n";

class Options {
 public:
  Options(int argc, char** argv) {
    for (int i = 2; i < argc; i += 2) {
      const std::string name = argv[i];
      if (name.rfind("--", 0) != 0 || i + 1 >= argc)
        throw deepcache::Error(deepcache::ErrorCode::kInvalidArgument,
                               "expected --option value, got " + name);
      values_[name.substr(2)] = argv[i + 1];
    }
  }

  std::string text(const std::string& name, const std::string& fallback = "") {
    const auto found = values_.find(name);
    if (found == values_.end()) return fallback;
    const std::string value = found->second;
    values_.erase(found);
    return value;
  }

  double number(const std::string& name, double fallback) {
    const std::string value = text(name);
    if (value.empty()) return fallback;
    char* end = nullptr;
    const double out = std::strtod(value.c_str(), &end);
    if (*end || !(out >= 0))
      throw deepcache::Error(deepcache::ErrorCode::kInvalidArgument,
                             "--" + name + " must be a number, got " + value);
    return out;
  }

  void finish() const {
    if (values_.empty()) return;
    throw deepcache::Error(deepcache::ErrorCode::kInvalidArgument,
                           "there is no option --" + values_.begin()->first);
  }

 private:
  std::map<std::string, std::string> values_;
};

int run(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "--help";
  if (command == "--help" || command == "help") {
    std::fputs(kUsage, stdout);
    return 0;
  }
  Options options(argc, argv);
  const int threads = int(options.number("threads", 0));
  const std::string filter = options.text("filter");
  if (command == "cpu") {
    const int repeat = int(options.number("repeat", 3));
    const std::string json = options.text("json");
    options.finish();
    deepcache::bench::bench_cpu_models(threads, repeat, filter, json);
    return 0;
  }
  if (command == "ops") {
    options.finish();
    deepcache::bench::bench_cpu_ops(filter, threads);
    return 0;
  }
  if (command == "fullsize") {
    const std::string config = options.text("config"), outputs = options.text("outputs");
    const double tolerance = options.number("tolerance", 1e-5);
    options.finish();
    return deepcache::bench::check_fullsize(config, outputs, tolerance,
                                            deepcache::make_cpu_backend(threads))
               ? 1
               : 0;
  }
  std::fprintf(stderr, "there is no command %s\n%s", command.c_str(), kUsage);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const deepcache::Error& error) {
    std::fprintf(stderr, "deepcache-bench: %s\n", error.what());
    return 2;
  }
}

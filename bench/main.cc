// deepcache-bench: measures and checks the runtime without Node. docs/cuda.md tells how to read it.

#include <cstdio>
#include <string>

#include "../native/runtime/error.h"
#include "check.h"
#include "device.h"
#include "fullsize.h"
#include "options.h"
#include "predict.h"
#include "time.h"
#include "tune.h"
#include "types.h"

namespace {

using namespace deepcache::bench;

constexpr const char* kUsage =
    "usage: deepcache-bench COMMAND [OPTION VALUE]...\n"
    "  check      a GPU (or the emulated one) against the CPU backend\n"
    "             [--parts smoke,ops,shapes,models,repeats,memory] [--models small-sd15,...]\n"
    "             [--side 32] [--runs 1000] of memory and repeats [--patience 120] s for a case\n"
    "  time       calls, runs and ops of models on synthetic weights, beside ceilings measured in\n"
    "             the same run [--parts steps,images,ops,tiles] [--models sd15,sdxl] [--batches "
    "1,2,8,16]\n"
    "             [--intervals 1,3,5] [--steps 50] [--side LATENTS] [--ceiling 8192]\n"
    "             [--budget SECONDS for a row] [--limit SECONDS in all] [--patience SECONDS for a "
    "row]\n"
    "  types      calls of models on the CPU in fp32 and bf16, one after the other, round by "
    "round,\n"
    "             beside the peaks of both [--models sd15] [--side LATENTS] [--rounds 5]\n"
    "             [--parts calls,decode,ops]\n"
    "  tune       measures the tiles of products, and keeps what was the fastest\n"
    "             [--models ...] [--batches 1] [--side LATENTS] [--limit SECONDS]\n"
    "  predict    what an H200 should take, by a time model: not a measurement; rows as time's\n"
    "             [--models ...] [--batches ...] [--intervals ...] [--steps 50]\n"
    "  fullsize   a U-Net on synthetic weights against reference outputs\n"
    "             --config FILE --outputs FILE [--tolerance 1e-5] [--write SIDE: writes them]\n"
    "all take   [--device cpu|cuda|cuda:1] [--type fp16|bf16|fp8] [--threads N] [--filter TEXT]\n"
    "           [--json FILE]; models are the folders of bench/models\n";

constexpr const char* kSmallModels =
    "tiny-sd15,tiny-sd21,tiny-sdxl,small-sd15,small-sd21,small-sdxl";

int run(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "--help";
  if (command == "--help" || command == "help") {
    std::fputs(kUsage, stdout);
    return 0;
  }
  Options options(argc, argv, 2);
  const std::string device_name =
      options.text("device", command == "check" || command == "tune" ? "cuda" : "cpu");
  const std::string type = options.text("type", "fp16");
  const int threads = int(options.number("threads", 0));
  const std::string filter = options.text("filter"), json = options.text("json");
  const auto device = [&] {
    options.finish();
    return open_device(device_name, type, threads);
  };
  if (command == "check") {
    CheckRequest request;
    request.open = [&] { return open_device(device_name, type, threads); };
    request.parts = options.list("parts", "ops,models");
    request.models = options.list("models", kSmallModels);
    request.side = int(options.number("side", 32));
    request.runs = int(options.number("runs", 1000));
    request.patience = options.number("patience", 120);
    request.filter = filter;
    request.json = json;
    options.finish();
    return check(request);
  }
  if (command == "time") {
    TimeOptions time;
    time.parts = options.list("parts", "steps,images,ops");
    time.models = options.list("models", "sd15,sdxl");
    time.batches = options.integers("batches", "1,2,8,16");
    time.intervals = options.integers("intervals", "1,3,5");
    time.side = int(options.number("side", 0));
    time.steps = int(options.number("steps", 50));
    time.ceiling = int(options.number("ceiling", device_name == "cpu" ? 4096 : 8192));
    time.budget = options.number("budget", 0.3);
    time.limit = options.number("limit", 1e9);
    time.patience = options.number("patience", time.patience);
    time.open = [&] { return open_device(device_name, type, threads); };
    time.filter = filter;
    time.json = json;
    options.finish();
    return time_device(time) ? 1 : 0;
  }
  if (command == "types") {
    TypesOptions types;
    types.parts = options.list("parts", "calls");
    types.models = options.list("models", "sd15");
    types.side = int(options.number("side", 0));
    types.rounds = int(options.number("rounds", 5));
    types.threads = threads;
    types.filter = filter;
    types.json = json;
    options.finish();
    compare_types(types);
    return 0;
  }
  if (command == "tune") {
    const auto models = options.list("models", "sd15,sdxl");
    const auto batches = options.integers("batches", "1");
    const int side = int(options.number("side", 0));
    const double limit = options.number("limit", 1e9);
    tune(device(), models, batches, side, limit, filter, json);
    return 0;
  }
  if (command == "predict") {
    const auto models = options.list("models", "sd15,sdxl");
    const auto batches = options.integers("batches", "1,2,8,16");
    const auto intervals = options.integers("intervals", "1,3,5");
    const int steps = int(options.number("steps", 50));
    options.finish();
    predict(models, batches, intervals, steps, type, filter, json);
    return 0;
  }
  if (command == "fullsize") {
    const std::string config = options.text("config"), outputs = options.text("outputs");
    const double tolerance = options.number("tolerance", 1e-5);
    if (const int side = int(options.number("write", 0)); side > 0) {
      write_fullsize(config, outputs, side, device().backend);
      return 0;
    }
    return check_fullsize(config, outputs, tolerance, device().backend) ? 1 : 0;
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

#include "check.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "../native/runtime/error.h"
#include "models.h"
#include "ops.h"
#include "test/ops/op_cases.h"

namespace deepcache::bench {
namespace {

// Of an op with 16-bit operands: test/emulated/ops_test.cc says why.
constexpr double kOpTolerance = 1e-3;

constexpr const char* kWhat =
    "check: against the CPU backend in fp32, ops of the table against double precision; relative "
    "L2, largest error in units of the root mean square; ";

// Messages of a worker.
constexpr char kDevice = 'D', kBegin = 'B', kPassed = 'P', kFailed = 'F', kEnd = 'E',
               kRefused = 'R';

constexpr const char* kParts[] = {"smoke", "ops", "shapes", "models", "repeats", "memory"};

// One for each of a GPU's features, simple ones first: plain stores, TMA and wgmma, im2col by tiled
// maps (with a stride their elements are apart), splits of k, attention for each head width of
// Stable Diffusion, blocks that exchange sums, norms that products do along.
constexpr const char* kSmoke[] = {
    "elementwise_scale",      "conv_linear_deep",          "conv_3x3_eights",
    "conv_3x3_stride_eights", "conv_linear_long_k_eights", "attention_heads_of_64",
    "attention_heads_of_40",  "attention_heads_of_80",     "attention_heads_of_160",
    "group_norm_silu",        "group_norm_few_channels",   "layer_norm_plain",
    "conv_folded_residual"};

std::vector<test::OpCase> ordered_cases(bool smoke) {
  std::vector<test::OpCase> cases;
  for (const char* name : kSmoke)
    for (const test::OpCase& test : test::op_cases())
      if (test.name == name) cases.push_back(test);
  if (cases.size() != std::size(kSmoke))
    throw Error(ErrorCode::kInternal, "an op case of the smoke test has another name");
  for (const test::OpCase& test : test::op_cases())
    if (!smoke && std::find(std::begin(kSmoke), std::end(kSmoke), test.name) == std::end(kSmoke))
      cases.push_back(test);
  return cases;
}

double tolerance_of(const test::OpCase& test) {
  if (test.name.find("far_from_zero") != std::string::npos) return 100 * kOpTolerance;
  if (test.name.find("sharp") != std::string::npos) return 12 * kOpTolerance;
  return kOpTolerance;
}

}  // namespace

Checks::Checks(const Device& device, std::string filter, int skipped, const Messages& messages)
    : device_(device),
      reference_(make_cpu_backend(0, device.backend->fp8() ? Products::fp8 : Products::fp32)),
      filter_(std::move(filter)),
      messages_(messages),
      skipped_(skipped) {}

bool Checks::begin(const std::string& name) {
  if (name.find(filter_) == std::string::npos || cases_++ < skipped_) return false;
  messages_.send(kBegin, name);
  std::printf("%-64s ", (begun_ = name).c_str());
  std::fflush(stdout);
  return true;
}

void Checks::add(const std::string& name, double error, double largest, double tolerance,
                 const std::string& kernel, const std::string& problem) {
  const bool ok = problem.empty() && error <= tolerance && largest <= 20 * tolerance;
  if (name != begun_) std::printf("%s%-64s ", begun_.empty() ? "" : "\n", name.c_str());
  begun_.clear();
  std::printf("%9.2e %9.2e %9.0e  %s  %s\n", error, largest, tolerance, ok ? "ok" : "FAILED",
              (problem.empty() ? kernel.substr(0, 60) : problem).c_str());
  std::fflush(stdout);
  JsonObject row;
  row.add("name", name).add("ok", ok).add("error", error).add("largest", largest);
  row.add("tolerance", tolerance).add("kernel", kernel);
  if (!problem.empty()) row.add("problem", problem);
  messages_.send(ok ? kPassed : kFailed, row.str());
}

void Checks::add_failure(const std::string& name, const Error& error) {
  add(name, INFINITY, INFINITY, 0, "", error.what());
  if (error.code() == ErrorCode::kInternal) throw GiveUp();
}

void Checks::compare(const std::string& name, const std::vector<float>& actual,
                     const std::vector<float>& expected, double tolerance,
                     const std::string& kernel) {
  if (actual.size() != expected.size())
    return add(name, INFINITY, INFINITY, tolerance, kernel, "another number of values");
  double difference = 0, norm = 0, largest = 0;
  for (size_t i = 0; i < actual.size(); i++) {
    const double d = std::fabs(double(actual[i]) - double(expected[i]));
    difference += d * d;
    norm += double(expected[i]) * double(expected[i]);
    largest = d <= largest ? largest : d;  // NaN stays
  }
  const double rms = std::sqrt(norm / double(actual.size()));
  add(name, std::sqrt(difference / norm), largest / rms, tolerance, kernel);
}

void check_op_table(Checks& checks, bool smoke) {
  for (const bool staged : {true, false})
    for (const test::OpCase& test : ordered_cases(smoke)) {
      // Timesteps are fp32 inputs of every plan: 16 bits would not hold them.
      if (staged && test.name.find("timestep") != std::string::npos) continue;
      if (!staged && smoke) continue;
      const std::string name = "op." + test.name + (staged ? "" : " fp32in fp32out");
      if (!checks.begin(name)) continue;
      const double tolerance = checks.scaled(tolerance_of(test));
      try {
        const test::CaseResult result =
            test::run_case(test, *checks.device().backend, {tolerance, staged});
        checks.add(name, result.error, result.largest, tolerance, result.kernel, result.problem);
      } catch (const Error& error) {
        checks.add_failure(name, error);
      }
    }
}

void check_op_shapes(Checks& checks, const std::string& model, int side) {
  const UnetConfig config = UnetConfig::parse(model_part(model, "unet"));
  const Plan plan = plan_unet(config, {2, side, side, 77, 1}, {0});
  const Device reference{"cpu", "fp32", checks.reference()};
  for (const DistinctOp& distinct : distinct_ops(plan)) {
    const std::string name = "shape." + model + "." + distinct.name;
    if (!checks.begin(name)) continue;
    const double tolerance = checks.scaled(kOpTolerance);
    try {
      RandomProgram actual(isolate(plan, *distinct.op, 1, true), checks.device());
      RandomProgram expected(isolate(plan, *distinct.op, 1, true), reference);
      actual.run();
      expected.run();
      checks.device().backend->synchronize();
      const std::vector<std::string> kernels = actual.kernels();
      checks.compare(name, actual.read({PortKind::out, 0}), expected.read({PortKind::out, 0}),
                     tolerance, kernels.empty() ? "" : kernels[0]);
    } catch (const Error& error) {
      checks.add_failure(name, error);
    }
  }
}

namespace {

void work(const CheckRequest& request, int skipped, const Messages& messages) {
  try {
    const Device device = request.open();
    messages.send(kDevice, describe(device, kWhat + device.type).members());
    Checks checks(device, request.filter, skipped, messages);
    for (const std::string& part : request.parts) {
      if (part == "ops" || part == "smoke") check_op_table(checks, part == "smoke");
      if (part == "memory") check_memory(checks, request.models.front(), request.runs);
      for (const std::string& model : request.models) {
        if (part != "shapes" && part != "models" && part != "repeats") break;
        const int own = UnetConfig::parse(model_part(model, "unet")).sample_height;
        const int side = std::min(own, request.side);
        if (part == "shapes") check_op_shapes(checks, model, side);
        if (part == "models") check_model(checks, model, side);
        if (part == "repeats") check_repeats(checks, model, side, request.runs);
      }
    }
    if (device.gpu) messages.send(kEnd, features_of(device));
  } catch (const Error& error) {
    messages.send(kRefused, error.what());
  }
}

}  // namespace

int check(const CheckRequest& request) {
  constexpr int kMostFaults = 16;  // each costs a new process, which has to open the GPU
  for (const std::string& part : request.parts)
    if (std::find(std::begin(kParts), std::end(kParts), part) == std::end(kParts))
      throw Error(ErrorCode::kInvalidArgument,
                  "--parts are smoke, ops, shapes, models, repeats and memory, got " + part);
  Report report(request.json);
  int passed = 0, failed = 0, faults = 0, cases = 0;
  std::string running, refusal, features;
  const auto receive = [&](char kind, const std::string& line) {
    if (kind == kDevice) report.begin(line);
    if (kind == kBegin) cases++, running = line;
    if (kind == kPassed || kind == kFailed) {
      ++(kind == kPassed ? passed : failed);
      running.clear();
      report.add(line);
    }
    if (kind == kEnd) features = line;
    if (kind == kRefused) refusal = line;
  };
  std::printf("%-64s %9s %9s %9s\n", "", "relative", "largest", "allowed");
  for (bool more = true; more;) {
    const int before = cases;
    const WorkerEnd end = run_worker(
        request.patience, [&](const Messages& m) { work(request, before, m); }, receive);
    if (!refusal.empty() && !cases) throw Error(ErrorCode::kInvalidArgument, refusal);
    more = end.how != WorkerEnd::finished && cases > before && ++faults < kMostFaults;
    const std::string problem = refusal.empty() ? end.problem : refusal;
    if (problem.empty()) continue;
    if (running.empty()) running = "between two cases";
    std::printf("FAILED  %s\n", problem.c_str());
    failed++;
    report.add(JsonObject().add("name", running).add("ok", false).add("problem", problem));
    running.clear();
  }
  JsonObject summary;
  summary.add("passed", passed).add("failed", failed);
  summary.add("complete", faults < kMostFaults);
  if (!features.empty()) summary.add("features_at_the_end", features);
  report.summary(summary);
  if (faults == kMostFaults) std::printf("too many faults: the other cases are left out\n");
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed || !passed;
}

}  // namespace deepcache::bench

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

double tolerance_of(const test::OpCase& test) {
  if (test.name.find("far_from_zero") != std::string::npos) return 100 * kOpTolerance;
  if (test.name.find("sharp") != std::string::npos) return 12 * kOpTolerance;
  return kOpTolerance;
}

}  // namespace

Checks::Checks(const Device& device, std::string filter, Report& report)
    : device_(device),
      reference_(make_cpu_backend(0)),
      filter_(std::move(filter)),
      report_(report) {
  std::printf("%-64s %9s %9s %9s\n", "", "relative", "largest", "allowed");
}

void Checks::add(const std::string& name, double error, double largest, double tolerance,
                 const std::string& kernel, const std::string& problem) {
  const bool ok = problem.empty() && error <= tolerance && largest <= 20 * tolerance;
  ++(ok ? passed_ : failed_);
  std::printf("%-64s %9.2e %9.2e %9.0e  %s  %s\n", name.c_str(), error, largest, tolerance,
              ok ? "ok" : "FAILED", (problem.empty() ? kernel.substr(0, 60) : problem).c_str());
  std::fflush(stdout);
  JsonObject row;
  row.add("name", name).add("ok", ok).add("error", error).add("largest", largest);
  row.add("tolerance", tolerance).add("kernel", kernel);
  if (!problem.empty()) row.add("problem", problem);
  report_.add(row);
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

void check_op_table(Checks& checks) {
  for (const bool staged : {true, false})
    for (const test::OpCase& test : test::op_cases()) {
      // Timesteps are fp32 inputs of every plan: 16 bits would not hold them.
      if (staged && test.name.find("timestep") != std::string::npos) continue;
      const std::string name = "op." + test.name + (staged ? "" : " fp32in fp32out");
      if (!checks.wants(name)) continue;
      const double tolerance = checks.scaled(tolerance_of(test));
      try {
        const test::CaseResult result =
            test::run_case(test, *checks.device().backend, {tolerance, staged});
        checks.add(name, result.error, result.largest, tolerance, result.kernel, result.problem);
      } catch (const Error& error) {
        checks.add(name, INFINITY, INFINITY, tolerance, "", error.what());
      }
    }
}

void check_op_shapes(Checks& checks, const std::string& model, int side) {
  const UnetConfig config = UnetConfig::parse(model_part(model, "unet"));
  const Plan plan = plan_unet(config, {2, side, side, 77, 1}, {0});
  const Device reference{"cpu", "fp32", checks.reference()};
  for (const DistinctOp& distinct : distinct_ops(plan)) {
    const std::string name = "shape." + model + "." + distinct.name;
    if (!checks.wants(name)) continue;
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
      checks.add(name, INFINITY, INFINITY, tolerance, "", error.what());
    }
  }
}

int check(const Device& device, const std::vector<std::string>& parts,
          const std::vector<std::string>& models, int side, int runs, const std::string& filter,
          const std::string& json) {
  for (const std::string& part : parts)
    if (part != "ops" && part != "shapes" && part != "models" && part != "memory")
      throw Error(ErrorCode::kInvalidArgument,
                  "--parts are ops, shapes, models and memory, got " + part);
  Report report(json,
                describe(device, "check: " + device.type +
                                     " against the CPU backend in fp32, "
                                     "ops of the table against double precision; relative L2, "
                                     "largest error in units of the root mean square"));
  Checks checks(device, filter, report);
  for (const std::string& part : parts) {
    if (part == "ops") {
      check_op_table(checks);
      continue;
    }
    if (part == "memory") {
      check_memory(checks, models.front(), runs);
      continue;
    }
    for (const std::string& model : models) {
      const int own = UnetConfig::parse(model_part(model, "unet")).sample_height;
      part == "shapes" ? check_op_shapes(checks, model, std::min(own, side))
                       : check_model(checks, model, std::min(own, side));
    }
  }
  report.summary(JsonObject().add("passed", checks.passed()).add("failed", checks.failed()));
  std::printf("%d passed, %d failed\n", checks.passed(), checks.failed());
  return checks.failed() || !checks.passed();
}

}  // namespace deepcache::bench

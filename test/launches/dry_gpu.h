#pragma once

// A GPU on which every program is made and enqueued, but nothing executed: each launch is held
// against the rules (rules.h).

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "cuda/host/backend.h"
#include "emulator/dry_run.h"
#include "kernels.h"

namespace deepcache::launches {

using cuda::ActivationType;

// What was found wrong: once for each rule and op.
struct Failure {
  std::string what, op, first_pass;
  int passes = 0;
};

class DryGpu : public emulator::DryRun {
 public:
  DryGpu(const emulator::Chip& chip, const Kernels& kernels);
  ~DryGpu() override;

  // While `body` runs, what happens belongs to the pass of that name. An Error of it is a failure.
  void pass(const std::string& name, const std::function<void()>& body);
  // What the pass enqueues now.
  void describe(const std::string& op) { op_ = op; }

  void launch(const emulator::Launch& launch) override;
  void fail(const std::string& what);

  const emulator::Chip& chip() const { return chip_; }
  const std::vector<Failure>& failures() const { return failures_; }
  int passed() const { return passed_; }
  int failed() const { return failed_; }
  // How many different launches were checked, and how many there were.
  size_t different() const { return checked_.size(); }
  size_t launches() const { return launches_; }

 private:
  // All that the rules look at.
  using Size = std::tuple<const void*, unsigned, unsigned, unsigned, unsigned, size_t, size_t,
                          unsigned, bool>;

  const emulator::Chip& chip_;
  const Kernels& kernels_;
  std::map<Size, std::vector<std::string>> checked_;
  std::vector<Failure> failures_;
  std::map<std::string, size_t> known_;  // failures by what and op
  std::set<size_t> in_pass_;
  std::string pass_, op_;
  bool broken_ = false;
  int passed_ = 0, failed_ = 0;
  size_t launches_ = 0;
};

// A backend whose weights have no values, and which enqueues every op of what it compiles once, as
// the first of its process, so that launches are known by their ops.
class DryBackend : public cuda::CudaBackend {
 public:
  DryBackend(DryGpu& gpu, ActivationType type, bool fp8 = false);
  ~DryBackend() override;
  void repack(PackedWeight&, const WeightSpec&, const std::vector<const SourceTensor*>&) override {}
  std::unique_ptr<Program> compile(const Plan& plan, Weights& weights, Buffer& arena,
                                   std::vector<Binding> bindings) override;

  // How many ops each kernel served since the last call.
  std::map<std::string, int> take_kernels();

 private:
  // Which ops of a plan that cannot be compiled are at fault.
  void blame(const Plan& plan);

  DryGpu& gpu_;
  std::map<std::string, int> kernels_;
};

// Tensors of the shapes that plans ask for, without values.
std::shared_ptr<WeightSource> weights_without_values(const std::vector<Plan>& plans);

}  // namespace deepcache::launches

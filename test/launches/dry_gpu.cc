#include "dry_gpu.h"

#include <algorithm>

#include "bench/ops.h"
#include "emulator/options.h"
#include "emulator/shared_limit.h"
#include "rules.h"

namespace deepcache::launches {
namespace {

constexpr size_t kEnough = size_t(1) << 46;  // bytes of memory: only addresses are taken

// Without what depends on the size: "matmul sm_90a 128x160".
std::string family(const std::string& kernel) { return kernel.substr(0, kernel.find(',')); }

class NoValues : public WeightSource {
 public:
  explicit NoValues(const std::vector<Plan>& plans) {
    static const float zero = 0;
    for (const Plan& plan : plans)
      for (const WeightSpec& spec : plan.weights())
        for (size_t i = 0; i < spec.names.size(); i++) {
          SourceTensor& tensor = tensors_[spec.names[i]];
          tensor.shape = spec.published_shape(i);
          tensor.count = 1;
          for (const int64_t n : tensor.shape) tensor.count *= size_t(n);
          if (tensor.count == 1) tensor.data = &zero;
        }
  }
  const SourceTensor* find(const std::string& name) const override {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : &found->second;
  }
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : tensors_) names.push_back(name);
    return names;
  }
  std::string description() const override { return "weights without values"; }

 private:
  std::map<std::string, SourceTensor> tensors_;
};

}  // namespace

DryGpu::DryGpu(const emulator::Chip& chip, const Kernels& kernels)
    : chip_(chip), kernels_(kernels) {
  emulator::options.chip = &chip;
  emulator::options.memory_bytes = kEnough;
}

DryGpu::~DryGpu() {
  emulator::dry_run = nullptr;
  emulator::options = {};
}

void DryGpu::pass(const std::string& name, const std::function<void()>& body) {
  pass_ = name;
  op_.clear();
  in_pass_.clear();
  broken_ = false;
  try {
    body();
  } catch (const Error& error) {
    if (!broken_) fail(error.what());
  }
  (broken_ ? failed_ : passed_)++;
}

void DryGpu::launch(const emulator::Launch& launch) {
  launches_++;
  const auto& [grid, block] = std::tie(launch.size.grid, launch.size.block);
  const Size size{launch.kernel,       grid.x,  grid.y,
                  grid.z,              block.x * block.y * block.z,
                  launch.size.shared_bytes, launch.size.shared_limit,
                  launch.size.cluster,      launch.overlaps};
  auto found = checked_.find(size);
  if (found == checked_.end())
    found = checked_.emplace(size, broken_rules(launch, kernels_.find(launch.kernel), chip_)).first;
  for (const std::string& rule : found->second)
    fail(kernels_.find(launch.kernel).name + ": " + rule);
}

void DryGpu::fail(const std::string& what) {
  broken_ = true;
  // In a loop ops have no names, but each was enqueued on its own before.
  const auto is_same = [&](const Failure& failure) { return failure.what == what; };
  if (op_.empty() && std::ranges::any_of(failures_, is_same)) return;
  const auto [place, is_new] = known_.emplace(what + "\n" + op_, failures_.size());
  if (is_new) failures_.push_back({what, op_, pass_});
  if (in_pass_.insert(place->second).second) failures_[place->second].passes++;
}

DryBackend::DryBackend(DryGpu& gpu, ActivationType type, bool fp8)
    : CudaBackend(*deepcache_cuda_api(), 0, type, fp8), gpu_(gpu) {
  set_tuning("", false);  // what was measured on this machine says nothing here
  emulator::dry_run = &gpu;
}

DryBackend::~DryBackend() { emulator::dry_run = nullptr; }

std::unique_ptr<Program> DryBackend::compile(const Plan& plan, Weights& weights, Buffer& arena,
                                             std::vector<Binding> bindings) {
  std::unique_ptr<Program> program;
  try {
    program = CudaBackend::compile(plan, weights, arena, std::move(bindings));
  } catch (const Error&) {
    blame(plan);
    throw;
  }
  const std::vector<std::string> kernels = program->kernels();
  for (size_t i = 0; i < kernels.size(); i++) {
    kernels_[family(kernels[i])]++;
    gpu_.describe(bench::describe(plan, plan.ops()[i]));
    emulator::forget_allowed_shared_memory();
    program->run({int(i), int(i) + 1}, 0, nullptr, nullptr);
  }
  gpu_.describe("");
  return program;
}

void DryBackend::blame(const Plan& plan) {
  for (const bench::DistinctOp& op : bench::distinct_ops(plan)) {
    const Plan alone = bench::isolate(plan, *op.op, 1);
    Weights weights(weights_without_values({alone}), *this);
    std::vector<std::unique_ptr<Buffer>> buffers;
    std::vector<Binding> bindings;
    for (const External& external : alone.externals()) {
      buffers.push_back(allocate(alone.external_bytes(external, activation_type())));
      bindings.push_back({buffers.back().get()});
    }
    const auto arena = allocate(alone.arena_bytes(activation_type()));
    gpu_.describe(op.name);
    try {
      CudaBackend::compile(alone, weights, *arena, bindings)->run(0, nullptr, nullptr);
    } catch (const Error& error) {
      gpu_.fail(error.what());
    }
  }
  gpu_.describe("");
}

std::map<std::string, int> DryBackend::take_kernels() { return std::exchange(kernels_, {}); }

std::shared_ptr<WeightSource> weights_without_values(const std::vector<Plan>& plans) {
  return std::make_shared<NoValues>(plans);
}

}  // namespace deepcache::launches

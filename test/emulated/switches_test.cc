// What the environment can switch off, and what is reported: errors that name the op that failed,
// and graphs that could not be recorded as they should be.

#include "emulated.h"
#include "environment.h"
#include "native/test.h"
#include "runtime/error.h"
#include "test/ops/op_cases.h"
#include "tiny_unet.h"

namespace deepcache::test {
namespace {

std::unique_ptr<cuda::CudaBackend> backend(int device) {
  return std::make_unique<cuda::CudaBackend>(*deepcache_cuda_api(), device, ActivationType::fp16);
}

const OpCase& find_case(const std::string& name) {
  for (const OpCase& test : op_cases())
    if (test.name == name) return test;
  throw Failure("there is no case " + name);
}

void check_contains(const std::string& text, const std::string& part) {
  if (text.find(part) == std::string::npos) throw Failure("no '" + part + "' in: " + text);
}

// The message with which the case fails.
std::string failure_of(Backend& gpu, const std::string& name) {
  try {
    run_case(find_case(name), gpu, {2e-3, true});
  } catch (const Error& error) {
    return error.what();
  }
  throw Failure(name + " does not fail");
}

}  // namespace

TEST(quick_switches_disable_features) {
  const Emulation emulation(1, emulator::Async::late);
  CHECK_EQ(
      backend(kSm90)->describe(),
      std::string("features in use: hopper, overlap, clusters, once, folds, persistent, odd_v"));
  struct {
    const char *feature, *test, *kernel;
  } const kRows[] = {
      {"hopper", "conv_linear_eights", "matmul 128x128, async copies"},
      {"hopper", "attention_heads_of_64", "flash attention 64 queries"},
      {"once", "group_norm_few_channels", "group norm by eights"},
      {"clusters", "group_norm_few_channels", "clusters of 1"},
      {"folds", "conv_folded_residual", "matmul sm_90a"},
      {"odd_v", "attention_heads_of_40", "flash attention sm_90a"},
      {"persistent", "attention_units_of_40", "flash attention sm_90a"},
      {"persistent", "conv_linear_deep", "matmul sm_90a"},
      {"overlap,hopper", "conv_linear_eights", "matmul 128x128"},
  };
  for (const auto& [feature, test, kernel] : kRows) {
    const Environment disable("DEEPCACHE_CUDA_DISABLE", feature);
    const auto gpu = backend(kSm90);
    const CaseResult result = run_case(find_case(test), *gpu, {2e-3, true});
    CHECK_EQ(result.problem, std::string());
    check_contains(result.kernel, kernel);
    check_contains(gpu->describe(), std::string("disabled by DEEPCACHE_CUDA_DISABLE: ") + feature);
    CHECK(gpu->describe().find(", " + std::string(feature)) == std::string::npos);
  }
}

// Without clusters there are no pairs.
TEST(quick_switches_clusters_of_products) {
  const Emulation emulation(1, emulator::Async::late);
  const auto pairs = [&] {
    const CaseResult result =
        run_case(find_case("conv_linear_pairs"), *backend(kSm90), {2e-3, true});
    CHECK_EQ(result.problem, std::string());
    return result.kernel.find("_pairs") != std::string::npos;
  };
  CHECK(pairs());
  {
    const Environment disable("DEEPCACHE_CUDA_DISABLE", "clusters");
    CHECK(!pairs());
  }
  emulator::options.largest_cluster = 1;
  CHECK(!pairs());
}

// A part of a GPU has no place for large clusters: smaller ones, or two kernels.
TEST(quick_switches_clusters_that_do_not_fit) {
  const Emulation emulation(1, emulator::Async::late);
  const OpCase test{"group_norm_of_one_group", [](OpBuilder& b) {
                      GroupNorm op;
                      op.x = b.input({1, 64, 64, 8});
                      op.y = b.output(op.x.shape);
                      op.gamma = b.vector(8);
                      op.beta = b.vector(8);
                      op.epsilon = 1e-6f;
                      op.groups = 1;
                      return Op(op);
                    }};
  const auto kernel = [&](unsigned largest_cluster) {
    emulator::options.largest_cluster = largest_cluster;
    const CaseResult result = run_case(test, *backend(kSm90), {2e-3, true});
    CHECK_EQ(result.problem, std::string());
    return result.kernel;
  };
  check_contains(kernel(8), "clusters of 4");
  check_contains(kernel(3), "clusters of 2");
  check_contains(kernel(1), "clusters of 1");
}

TEST(quick_switches_refuse_unknown_names) {
  const Environment disable("DEEPCACHE_CUDA_DISABLE", "hopper,tma");
  try {
    backend(kSm90);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kInvalidArgument);
    CHECK_EQ(std::string(error.what()),
             std::string("DEEPCACHE_CUDA_DISABLE names 'tma', but what it can disable is hopper, "
                         "overlap, clusters, once, folds, persistent, odd_v"));
    return;
  }
  throw Failure("an unknown feature is accepted");
}

TEST(quick_switches_synchronous_errors_name_the_op) {
  const Emulation emulation(1, emulator::Async::late);
  const Environment synchronous("DEEPCACHE_CUDA_SYNC", "1");
  const auto gpu = backend(kSm90);
  check_contains(gpu->describe(), "DEEPCACHE_CUDA_SYNC");
  // An access outside of every buffer, and a wait that never ends.
  emulator::options.planted_bug = 60;
  check_contains(failure_of(*gpu, "layer_norm_plain"), "op 1 (layer_norm to ");
  emulator::options.planted_bug = 21;
  const std::string hung = failure_of(*gpu, "conv_linear_deep");
  check_contains(hung, "; matmul sm_90a ");
  check_contains(hung, "hung: ");
  check_contains(hung, "mbarrier_wait");
}

TEST(quick_switches_synchronous_runs) {
  const Emulation emulation(1, emulator::Async::late);
  const auto run = [](cuda::CudaBackend** gpu) {
    auto opened = backend(kSm90);
    *gpu = opened.get();
    return std::make_unique<Unets>(std::move(opened));
  };
  cuda::CudaBackend* gpu = nullptr;
  const auto graphs = run(&gpu);
  const std::vector<float> expected = denoise(graphs->unet, 0, 2).latents;
  const Environment synchronous("DEEPCACHE_CUDA_SYNC", "1");
  const auto single = run(&gpu);
  CHECK(denoise(single->unet, 0, 2).latents == expected);
  emulator::options.planted_bug = 60;
  try {
    denoise(single->unet, 0, 2);
  } catch (const Error& error) {
    return check_contains(error.what(), "(conv to 2x8x8x");
  }
  throw Failure("the planted fault is not found");
}

TEST(quick_switches_report_graphs_without_overlap) {
  const Emulation emulation(1, emulator::Async::late);
  auto opened = backend(kSm90);
  const cuda::CudaBackend& gpu = *opened;
  Unets unets(std::move(opened));
  const std::vector<float> expected = denoise(unets.unet, 0, 2).latents;
  CHECK(gpu.describe().find("do not overlap") == std::string::npos);
  unets.unet.trim();
  emulator::options.refuses_overlap = true;
  CHECK(denoise(unets.unet, 0, 2).latents == expected);
  check_contains(gpu.describe(),
                 "kernels do not overlap, since recording them failed: CUDA: recording a graph");
}

}  // namespace deepcache::test

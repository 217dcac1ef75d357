// The border between the runtime and the CUDA library: errors, memory, repacking.

#include "emulated.h"
#include "emulator/memory.h"
#include "native/test.h"
#include "runtime/error.h"
#include "test/ops/op_cases.h"

namespace deepcache::test {
namespace {

std::unique_ptr<Backend> backend() { return emulated_backend(kSm80, ActivationType::fp16); }

// What a CUDA program must be told of: an id outside of the table.
void run_embedding(Backend& backend, int32_t id) {
  OpBuilder builder(1);
  Embedding op;
  op.ids = builder.ids({1, 1, 1, 1}, 1);
  op.y = builder.output({1, 1, 1, 8});
  op.table = builder.weight(Recipe::table, 7, 8);
  builder.plan.add(Op(op));
  builder.plan.finish();
  Weights weights(builder.source(), backend);
  const auto ids = backend.allocate(4), y = backend.allocate(32), arena = backend.allocate(0);
  ids->upload(&id, 4);
  const auto program = backend.compile(builder.plan, weights, *arena, {{ids.get()}, {y.get()}});
  program->run(0, nullptr, nullptr);
  backend.synchronize();
}

}  // namespace

TEST(quick_backend_devices) {
  int count = 0;
  cuda::call(deepcache_cuda_api()->device_count, &count);
  CHECK_EQ(count, 4);
  cuda::DeviceInfo info;
  cuda::call(deepcache_cuda_api()->device_info, 1, &info);
  CHECK_EQ(std::string(info.name), std::string("emulated sm_86"));
  CHECK_THROWS(emulated_backend(4, ActivationType::fp16), ErrorCode::kBackendUnavailable);
}

TEST(quick_backend_memory_is_zero_and_comes_back) {
  const size_t before = emulator::allocated_bytes();
  {
    const auto gpu = backend();
    const auto buffer = gpu->allocate(1000);
    std::vector<char> values(1000, 1);
    buffer->download(values.data(), 1000);
    for (const char v : values) CHECK_EQ(int(v), 0);
    CHECK_THROWS(buffer->download(values.data(), 10, 991), ErrorCode::kInternal);
    CHECK_THROWS(gpu->allocate(size_t(1) << 40), ErrorCode::kOutOfMemory);
    run_embedding(*gpu, 3);
  }
  CHECK_EQ(emulator::allocated_bytes(), before);
}

TEST(quick_backend_reports_what_kernels_find) {
  const auto gpu = backend();
  run_embedding(*gpu, 6);
  CHECK_THROWS(run_embedding(*gpu, 7), ErrorCode::kInvalidArgument);
  CHECK_THROWS(run_embedding(*gpu, -1), ErrorCode::kInvalidArgument);
  run_embedding(*gpu, 0);  // and is usable afterwards
}

TEST(quick_backend_cancels_before_it_enqueues) {
  const auto gpu = backend();
  OpBuilder builder(1);
  Elementwise op;
  op.x = builder.input({1, 1, 1, 4});
  op.y = builder.output({1, 1, 1, 4});
  builder.plan.add(Op(op));
  builder.plan.finish();
  Weights weights(builder.source(), *gpu);
  const auto x = gpu->allocate(16), y = gpu->allocate(16), arena = gpu->allocate(0);
  const auto program = gpu->compile(builder.plan, weights, *arena, {{x.get()}, {y.get()}});
  const CancelFlag cancel = true;
  CHECK_THROWS(program->run(0, &cancel, nullptr), ErrorCode::kAborted);
}

}  // namespace deepcache::test

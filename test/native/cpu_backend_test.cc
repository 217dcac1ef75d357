// What surrounds the ops: threads, abort, buffers, taps, stepped externals, repacking.

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <thread>

#include "cpu/backend.h"
#include "runtime/cpu_count.h"
#include "runtime/error.h"
#include "test.h"
#include "test/ops/op_cases.h"

namespace deepcache::test {
namespace {

std::vector<float> read(const Buffer& buffer) {
  std::vector<float> values(buffer.bytes() / sizeof(float));
  buffer.download(values.data(), buffer.bytes());
  return values;
}

// y = factor * (3x3 convolution of x): a plan that can be run.
struct ConvProgram {
  OpBuilder builder{1};
  std::unique_ptr<Weights> weights;
  std::vector<std::unique_ptr<Buffer>> buffers;
  std::unique_ptr<Buffer> arena;
  std::unique_ptr<Program> program;

  ConvProgram(Backend& backend, Shape shape) {
    Conv op;
    op.x = builder.input(shape);
    op.y = builder.output(shape);
    op.weight = builder.weight(Recipe::matrix, shape.c, shape.c, 3, 3);
    op.kernel_h = op.kernel_w = 3;
    op.pad_top = op.pad_left = 1;
    builder.plan.add(op);
    builder.plan.finish();
    weights = std::make_unique<Weights>(builder.source(), backend);
    std::vector<Binding> bindings;
    for (const External& external : builder.plan.externals()) {
      buffers.push_back(backend.allocate(shape.count() * sizeof(float)));
      const auto found = builder.inputs.find(external.tensor);
      if (found != builder.inputs.end())
        buffers.back()->upload(found->second.data(), shape.count() * sizeof(float));
      bindings.push_back({buffers.back().get(), 0});
    }
    arena = backend.allocate(backend.arena_bytes(builder.plan));
    program = backend.compile(builder.plan, *weights, *arena, bindings);
  }
  std::vector<float> output() const { return read(*buffers.back()); }
};

}  // namespace

TEST(cpu_pool_runs_every_item_once) {
  for (const int threads : {1, 2, 5}) {
    cpu::ThreadPool pool(threads);
    CHECK_EQ(pool.threads(), threads);
    for (const int count : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> runs(count);
      std::atomic<bool> bad_thread{false};
      pool.run(count, [&](int i, int thread) {
        runs[i]++;
        if (thread < 0 || thread >= threads) bad_thread = true;
      });
      for (const auto& run : runs) CHECK_EQ(run.load(), 1);
      CHECK(!bad_thread);
    }
  }
}

TEST(cpu_pool_passes_exceptions_on) {
  cpu::ThreadPool pool(3);
  const auto work = [](int i, int) {
    if (i == 5) throw Error(ErrorCode::kInvalidArgument, "item");
  };
  for (int i = 0; i < 20; i++) CHECK_THROWS(pool.run(100, work), ErrorCode::kInvalidArgument);
  std::atomic<int> runs{0};
  pool.run(100, [&](int, int) { runs++; });
  CHECK_EQ(runs.load(), 100);
}

TEST(cpu_pool_serves_several_callers) {
  cpu::ThreadPool pool(3);
  std::atomic<int> runs{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; caller++)
    callers.emplace_back([&] {
      for (int i = 0; i < 200; i++) pool.run(9, [&](int, int) { runs++; });
    });
  for (std::thread& caller : callers) caller.join();
  CHECK_EQ(runs.load(), 4 * 200 * 9);
}

TEST(cpu_pool_stops_when_cancelled) {
  cpu::ThreadPool pool(2);
  std::atomic<bool> cancel{false};
  std::atomic<int> runs{0};
  const auto work = [&](int, int) {
    if (++runs == 10) cancel = true;
  };
  CHECK_THROWS(pool.run(100000, work, &cancel), ErrorCode::kAborted);
  CHECK(runs <= 12);
}

TEST(cpu_thread_count_is_checked) {
  CHECK_THROWS(cpu::ThreadPool(-1), ErrorCode::kInvalidArgument);
  CHECK_THROWS(cpu::ThreadPool(100000), ErrorCode::kInvalidArgument);
  CHECK(available_cpus() >= 1);
}

TEST(cpu_isa_by_environment) {
  const char* before = std::getenv("DEEPCACHE_ISA");
  const std::string kept = before ? before : "";
  setenv("DEEPCACHE_ISA", "baseline", 1);
  CHECK_EQ(std::string(cpu::choose_kernels().name), "baseline");
  setenv("DEEPCACHE_ISA", "sse9", 1);
  CHECK_THROWS(cpu::choose_kernels(), ErrorCode::kInvalidArgument);
  before ? setenv("DEEPCACHE_ISA", kept.c_str(), 1) : unsetenv("DEEPCACHE_ISA");
}

TEST(cpu_buffers) {
  const auto backend = make_cpu_backend(1);
  for (const size_t bytes : {size_t(0), size_t(4), size_t(100), size_t(3) << 20}) {
    const auto buffer = backend->allocate(bytes);
    CHECK_EQ(buffer->bytes(), bytes);
    std::vector<char> values(bytes, 1);
    buffer->download(values.data(), bytes);
    for (const char v : values) CHECK_EQ(int(v), 0);
    CHECK_THROWS(buffer->upload(values.data(), 1, bytes), ErrorCode::kInternal);
    CHECK_THROWS(buffer->download(values.data(), 1, bytes), ErrorCode::kInternal);
  }
  CHECK_THROWS(backend->allocate(size_t(1) << 60), ErrorCode::kOutOfMemory);
  CHECK_THROWS(backend->allocate(SIZE_MAX), ErrorCode::kOutOfMemory);
}

// A convolution like the VAE's largest takes long; an abort must not wait for its end.
TEST(cpu_abort_within_a_convolution) {
  const auto backend = make_cpu_backend(0);
  ConvProgram conv(*backend, {1, 128, 256, 512});
  CancelFlag cancel{false};
  std::thread canceller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(40));
    cancel = true;
  });
  bool aborted = false;
  try {
    conv.program->run(0, &cancel, nullptr);
  } catch (const Error& error) {
    aborted = error.code() == ErrorCode::kAborted;
  }
  canceller.join();
  CHECK(aborted);
  cancel = false;
  CHECK_THROWS(
      {
        cancel = true;
        conv.program->run(0, &cancel, nullptr);
      },
      ErrorCode::kAborted);
}

TEST(cpu_programs_on_several_threads) {
  const auto backend = make_cpu_backend(2);
  ConvProgram a(*backend, {1, 20, 20, 33}), b(*backend, {2, 7, 30, 48});
  a.program->run(0, nullptr, nullptr);
  b.program->run(0, nullptr, nullptr);
  const auto expected_a = a.output(), expected_b = b.output();
  std::thread other([&] {
    for (int i = 0; i < 50; i++) b.program->run(0, nullptr, nullptr);
  });
  for (int i = 0; i < 50; i++) a.program->run(0, nullptr, nullptr);
  other.join();
  CHECK(a.output() == expected_a);
  CHECK(b.output() == expected_b);
}

// x [steps] -> y = 2 x (labelled) -> z = y + 1 x, in the arena and in externals.
TEST(cpu_stepped_externals_and_taps) {
  const auto backend = make_cpu_backend(2);
  Plan plan;
  const Shape shape{1, 1, 2, 3};
  const Tensor x = plan.external(PortKind::sample, shape, Type::f32, true);
  const Tensor y = plan.temporary(shape);
  const Tensor z = plan.external(PortKind::out, shape);
  Elementwise twice;
  twice.y = y;
  twice.x = x;
  twice.a = 2;
  Elementwise sum;
  sum.y = z;
  sum.x = y;
  sum.x2 = x;
  plan.add(twice);
  plan.add(sum);
  plan.label(y, "double");
  plan.label({y.id, {1, 1, 3, 2}}, "double_as_3x2");
  plan.finish();

  std::vector<float> values(4 * 8);  // slices are 8 floats apart, from the fourth on
  std::iota(values.begin(), values.end(), 0.0f);
  const auto x_buffer = backend->allocate(values.size() * 4), z_buffer = backend->allocate(24),
             arena = backend->allocate(backend->arena_bytes(plan));
  x_buffer->upload(values.data(), values.size() * 4);
  OpBuilder builder(1);
  Weights weights(builder.source(), *backend);
  Binding binding{x_buffer.get(), 4 * 4};
  binding.step = 8 * 4;
  const auto program = backend->compile(plan, weights, *arena, {binding, {z_buffer.get(), 0}});
  std::vector<std::string> seen;
  std::vector<float> tapped;
  const Tap tap = [&](const std::string& label, const Shape& s, const float* data) {
    seen.push_back(label + " " + to_string(s));
    tapped.assign(data, data + s.count());
  };
  for (const int step : {0, 2, 1}) {
    seen.clear();
    program->run(step, nullptr, &tap);
    CHECK_EQ(seen.size(), size_t(2));
    CHECK_EQ(seen[1], "double_as_3x2 " + to_string(Shape{1, 1, 3, 2}));
    const auto result = read(*z_buffer);
    for (int i = 0; i < 6; i++) {
      CHECK_EQ(tapped[i], 2 * float(4 + step * 8 + i));
      CHECK_EQ(result[i], 3 * float(4 + step * 8 + i));
    }
  }
  CHECK_THROWS(program->run(4, nullptr, nullptr), ErrorCode::kInternal);
  CHECK_THROWS(program->run(-1, nullptr, nullptr), ErrorCode::kInternal);
  CHECK_THROWS(backend->compile(plan, weights, *arena, {binding}), ErrorCode::kInternal);
  CHECK_THROWS(backend->compile(plan, weights, *arena, {binding, {z_buffer.get(), 4}}),
               ErrorCode::kInternal);
}

TEST(cpu_repack_in_place) {
  const auto backend = make_cpu_backend(2);
  for (const Recipe recipe : {Recipe::vector, Recipe::matrix, Recipe::upsample}) {
    const bool matrix = recipe != Recipe::vector;
    const WeightSpec spec{recipe, {"w"}, 50, matrix ? 7 : 1, matrix ? 3 : 1, matrix ? 3 : 1};
    std::vector<float> first(spec.count(), 1), second(spec.count(), 2);
    SourceTensor source{Type::f32, {}, first.data(), first.size()};
    const auto weight = backend->pack(spec, {&source});
    const auto& packed = static_cast<const cpu::CpuWeight&>(*weight);
    const std::vector<float> before(packed.values.floats(),
                                    packed.values.floats() + packed.bytes() / sizeof(float));
    source.data = second.data();
    backend->repack(*weight, spec, {&source});
    for (size_t i = 0; i < before.size(); i++) CHECK_EQ(packed.values.floats()[i], 2 * before[i]);
    source.count--;
    CHECK_THROWS(backend->pack(spec, {&source}), ErrorCode::kInvalidWeights);
  }
}

TEST(cpu_bad_ids_are_errors) {
  const auto backend = make_cpu_backend(1);
  OpBuilder builder(1);
  Embedding op;
  op.ids = builder.ids({1, 1, 3, 1}, 5);
  op.y = builder.output({1, 1, 3, 4});
  op.table = builder.weight(Recipe::table, 5, 4);
  builder.plan.add(op);
  builder.plan.finish();
  Weights weights(builder.source(), *backend);
  const auto ids = backend->allocate(12), y = backend->allocate(48), arena = backend->allocate(0);
  const auto program =
      backend->compile(builder.plan, weights, *arena, {{ids.get(), 0}, {y.get(), 0}});
  for (const int32_t bad : {-1, 5}) {
    const int32_t values[3] = {0, bad, 4};
    ids->upload(values, 12);
    CHECK_THROWS(program->run(0, nullptr, nullptr), ErrorCode::kInvalidArgument);
  }
}

}  // namespace deepcache::test

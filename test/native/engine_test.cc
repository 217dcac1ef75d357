// Engines keep compiled shapes, as many as their budget and the device's memory allow.

#include "native/models/engine.h"

#include <algorithm>
#include <functional>

#include "native/models/unet_session.h"
#include "native/runtime/error.h"
#include "test.h"
#include "tiny_unet.h"

namespace deepcache::test {
namespace {

// The CPU as a device with memory of its own, which counts what is compiled.
class CountingBackend : public Backend {
 public:
  explicit CountingBackend(std::string name) : name_(std::move(name)) {}
  std::string name() const override { return name_; }
  Type activation_type() const override { return cpu_->activation_type(); }
  size_t available_memory() const override { return available(); }
  std::unique_ptr<Buffer> allocate(size_t bytes) override { return cpu_->allocate(bytes); }
  std::unique_ptr<PackedWeight> pack(const WeightSpec& spec,
                                     const std::vector<const SourceTensor*>& sources) override {
    return cpu_->pack(spec, sources);
  }
  size_t packed_bytes(const WeightSpec& spec) const override { return cpu_->packed_bytes(spec); }
  std::unique_ptr<Program> compile(const Plan& plan, Weights& weights, Buffer& arena,
                                   std::vector<Binding> bindings) override {
    for (const External& external : plan.externals())
      if (external.port == Port(PortKind::sample)) passes++;
    return cpu_->compile(plan, weights, arena, std::move(bindings));
  }
  std::unique_ptr<Loop> make_loop() override { return cpu_->make_loop(); }
  void synchronize() override {}

  std::function<size_t()> available = [] { return size_t(1) << 30; };
  int passes = 0;  // of U-Nets

 private:
  const std::string name_;
  const std::unique_ptr<Backend> cpu_ = make_cpu_backend(1);
};

struct Networks {
  explicit Networks(const std::string& device, std::optional<size_t> budget = std::nullopt)
      : backend(std::make_shared<CountingBackend>(device)),
        engine(std::make_shared<Engine>(backend, budget)),
        first(make()),
        second(make()) {}
  std::unique_ptr<Unet> make() {
    const UnetConfig config = tiny_with("");
    return std::make_unique<Unet>(config, synthetic_weights(weight_plans(config)), engine);
  }
  std::shared_ptr<CountingBackend> backend;
  std::shared_ptr<Engine> engine;
  std::unique_ptr<Unet> first, second;
};

std::vector<float> pass(Unet& unet, int side) {
  const auto sample = values("sample", {1, 4, side, side}), context = values("context", {1, 3, 12});
  UnetForward request;
  request.height = request.width = side;
  request.sample = sample.data();
  request.timesteps = {500};
  request.conditions.context = context.data();
  request.conditions.context_length = 3;
  return unet.forward(request, nullptr, nullptr);
}

size_t bytes_of(const UnetMemory& memory) { return memory.arena + memory.buffers; }

// Of a shape that lives alone.
UnetMemory alone(int side) {
  Networks other("engine test, alone");
  pass(*other.first, side);
  return other.first->memory();
}
size_t bytes_of(int side) { return bytes_of(alone(side)); }

}  // namespace

TEST(engine_compiles_each_shape_once) {
  Networks n("engine test 1");
  const auto small = pass(*n.first, 8), large = pass(*n.first, 16);
  CHECK_EQ(n.backend->passes, 2);
  for (int i = 0; i < 2; ++i) {
    CHECK(pass(*n.first, 8) == small);
    CHECK(pass(*n.first, 16) == large);
  }
  CHECK_EQ(n.backend->passes, 2);
}

TEST(engine_keeps_what_its_budget_allows) {
  const size_t one = bytes_of(16);
  CHECK(bytes_of(8) < one);
  Networks n("engine test 2", one);
  pass(*n.first, 8);
  CHECK(bytes_of(n.first->memory()) < one);
  pass(*n.first, 16);
  CHECK_EQ(bytes_of(n.first->memory()), one);
  pass(*n.first, 16);
  CHECK_EQ(n.backend->passes, 2);
  pass(*n.first, 8);
  CHECK_EQ(n.backend->passes, 3);
  CHECK(bytes_of(n.first->memory()) < one);
  // One that is larger than the budget still runs.
  pass(*n.first, 24);
  CHECK(bytes_of(n.first->memory()) > one);
  CHECK_EQ(n.backend->passes, 4);
}

TEST(engine_lets_the_least_recently_used_go) {
  Networks n("engine test 3", bytes_of(16) + alone(8).buffers);  // smaller ones share the arena
  pass(*n.first, 16);
  pass(*n.first, 8);
  pass(*n.first, 16);
  pass(*n.first, 6);  // instead of 8
  CHECK_EQ(n.backend->passes, 3);
  pass(*n.first, 16);
  CHECK_EQ(n.backend->passes, 3);
  pass(*n.first, 8);
  CHECK_EQ(n.backend->passes, 4);
}

TEST(engine_serves_several_networks) {
  Networks n("engine test 4");
  const auto out = pass(*n.first, 16);
  CHECK(pass(*n.second, 16) == out);
  CHECK(pass(*n.first, 8) != out);
  CHECK_EQ(n.backend->passes, 3);
  // All of them run in the arena of the largest.
  CHECK_EQ(n.first->memory().arena, n.second->memory().arena);
  CHECK_EQ(n.engine->memory().arena, n.first->memory().arena);
  CHECK_EQ(n.engine->memory().buffers, n.first->memory().buffers + n.second->memory().buffers);
  n.first->trim();
  CHECK_EQ(bytes_of(n.first->memory()), size_t(0));
  CHECK(bytes_of(n.second->memory()) > 0);
  CHECK(pass(*n.second, 16) == out);
  CHECK_EQ(n.backend->passes, 3);
  n.second.reset();
  CHECK_EQ(n.engine->memory().arena + n.engine->memory().buffers, size_t(0));
  CHECK(pass(*n.first, 16) == out);
}

TEST(engine_frees_shapes_when_memory_is_short) {
  const size_t room = bytes_of(16) + bytes_of(8) - 1;
  Networks n("engine test 5", size_t(1) << 30);
  n.backend->available = [&] {
    const auto [arena, buffers] = n.engine->memory();
    return room - std::min(room, arena + buffers);
  };
  pass(*n.first, 8);
  {
    const auto used = n.first->session({1, 8, 8, 3, 1}, 1, {});
    CHECK_EQ(n.backend->passes, 1);
    CHECK_THROWS(pass(*n.first, 16), ErrorCode::kOutOfMemory);
    CHECK_EQ(bytes_of(n.first->memory()), bytes_of(8));
  }
  pass(*n.first, 16);
  CHECK_EQ(bytes_of(n.first->memory()), bytes_of(16));
}

// Memory that one engine was promised is not there for another one, until it is spent (the system
// counts it then) or given back.
TEST(engine_reserves_before_it_allocates) {
  Networks one("engine test 6"), other("engine test 6");
  one.backend->available = other.backend->available = [] { return size_t(1000); };
  auto room = one.engine->make_room(500, 100, "the first");
  CHECK_THROWS(other.engine->make_room(300, 101, "the second"), ErrorCode::kOutOfMemory);
  const auto second = other.engine->make_room(300, 100, "the second");
  room.memory->spend();
  CHECK_EQ(one.backend->free_memory(), size_t(600));
  // The arena serves more than one.
  const auto more = one.engine->make_room(500, 600, "more");
  CHECK(more.arena == room.arena);
  CHECK_THROWS(one.engine->make_room(501, 0, "another arena"), ErrorCode::kOutOfMemory);
}

TEST(engine_gives_turns_in_order) {
  Engine engine(std::make_shared<CountingBackend>("engine test 7"));
  const CancelFlag cancelled = true;
  {
    const Engine::Turn turn(engine);
    CHECK_THROWS(Engine::Turn(engine, &cancelled), ErrorCode::kAborted);
  }
  // Nobody is before it: then it need not wait, and sees no reason to look.
  const Engine::Turn turn(engine, &cancelled);
}

}  // namespace deepcache::test

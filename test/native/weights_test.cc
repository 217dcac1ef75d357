#include "runtime/weights.h"

#include "models/more_inputs.h"
#include "runtime/backend.h"
#include "runtime/error.h"
#include "test.h"

using namespace deepcache;

namespace {

// Tensors made of a shape and the values 0, 1, 2, ...
class Source : public WeightSource {
 public:
  void add(const std::string& name, std::vector<int64_t> shape) {
    size_t count = 1;
    for (const int64_t extent : shape) count *= size_t(extent);
    auto& values = values_[name];
    for (size_t i = 0; i < count; i++) values.push_back(float(i));
    tensors_[name] = {Type::f32, std::move(shape), values.data(), count};
  }
  std::vector<float>& values(const std::string& name) { return values_.at(name); }

  const SourceTensor* find(const std::string& name) const override {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : &found->second;
  }
  std::vector<std::string> names() const override { return {}; }
  std::string description() const override { return "model.safetensors"; }

 private:
  std::map<std::string, std::vector<float>> values_;
  std::map<std::string, SourceTensor> tensors_;
};

struct Packed : PackedWeight {
  std::vector<float> values;
  size_t bytes() const override { return values.size() * 4; }
};

// Packs by concatenation, and counts.
class PackingBackend : public Backend {
 public:
  int packs = 0;

  std::unique_ptr<PackedWeight> pack(const WeightSpec& spec,
                                     const std::vector<const SourceTensor*>& sources) override {
    packs++;
    auto packed = std::make_unique<Packed>();
    repack(*packed, spec, sources);
    return packed;
  }
  void repack(PackedWeight& target, const WeightSpec&,
              const std::vector<const SourceTensor*>& sources) override {
    auto& values = static_cast<Packed&>(target).values;
    values.clear();
    for (const SourceTensor* source : sources) {
      values.resize(values.size() + source->count);
      read_floats(*source, 0, source->count, &*values.end() - source->count);
    }
  }
  size_t packed_bytes(const WeightSpec& spec) const override { return spec.count() * 4; }

  std::string name() const override { return "packing"; }
  std::unique_ptr<Buffer> allocate(size_t) override { return nullptr; }
  std::unique_ptr<Program> compile(const Plan&, Weights&, Buffer&, std::vector<Binding>) override {
    return nullptr;
  }
  Type activation_type() const override { return Type::f32; }
  size_t available_memory() const override { return 0; }
  std::unique_ptr<Loop> make_loop() override { return nullptr; }
  void synchronize() override {}
};

struct Fixture {
  std::shared_ptr<Source> source = std::make_shared<Source>();
  PackingBackend backend;
  Weights weights{source, backend};

  void accept(const WeightSpec& spec) { weights.get(spec); }
  void refuse(const WeightSpec& spec, const std::vector<std::string>& pieces) {
    try {
      weights.get(spec);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kInvalidWeights);
      const std::string message = error.what();
      for (const std::string& piece : pieces)
        if (message.find(piece) == std::string::npos)
          deepcache::test::fail(__FILE__, __LINE__, "\"" + message + "\" lacks \"" + piece + "\"");
      CHECK(message.find("model.safetensors: ") == 0);
      CHECK(message.find("do not belong together") != std::string::npos);
      return;
    }
    CHECK(false);
  }
};

}  // namespace

TEST(weights_vector) {
  Fixture f;
  f.source->add("a", {3});
  f.source->add("b", {2});
  f.source->add("m", {3, 1});
  f.accept({Recipe::vector, {"a"}, 3});
  f.accept({.names = {"a", "b"}, .out = 5, .rows = {3, 2}});
  f.refuse({Recipe::vector, {"a"}, 4}, {"\"a\" has shape [3]", "expected [4]"});
  f.refuse({Recipe::vector, {"m"}, 3}, {"[3, 1]", "expected [3]"});
  f.refuse({.names = {"a", "b"}, .out = 6, .rows = {3, 3}},
           {"\"b\" has shape [2]", "expected [3]"});
  f.refuse({Recipe::vector, {"none"}, 3}, {"lacks tensor \"none\" of shape [3]"});
}

TEST(weights_matrix) {
  Fixture f;
  f.source->add("linear", {6, 4});
  f.source->add("pointwise", {6, 4, 1, 1});
  f.source->add("conv", {6, 4, 3, 3});
  f.source->add("temporal", {6, 4, 3, 1, 1});
  f.source->add("vector", {6});
  for (const Recipe recipe : {Recipe::matrix, Recipe::geglu}) {
    f.accept({recipe, {"linear"}, 6, 4});
    f.accept({recipe, {"pointwise"}, 6, 4});
    f.accept({recipe, {"linear", "pointwise"}, 12, 4, 1, 1, {6, 6}});
  }
  f.accept({Recipe::matrix, {"conv"}, 6, 4, 3, 3});
  f.accept({Recipe::upsample, {"conv"}, 6, 4, 3, 3});
  f.accept({Recipe::matrix, {"temporal"}, 6, 4, 3, 1});
  f.refuse({Recipe::matrix, {"conv"}, 6, 4}, {"[6, 4, 3, 3]", "expected [6, 4, 1, 1]"});
  f.refuse({.recipe = Recipe::matrix, .names = {"conv"}, .out = 6, .in = 4, .linear = true},
           {"[6, 4, 3, 3]", "expected [6, 4]"});
  f.refuse({Recipe::matrix, {"linear"}, 6, 4, 3, 3}, {"[6, 4]", "expected [6, 4, 3, 3]"});
  f.refuse({Recipe::matrix, {"conv"}, 6, 4, 1, 3}, {"expected [6, 4, 1, 3]"});
  f.refuse({Recipe::matrix, {"temporal"}, 6, 4, 1, 3}, {"[6, 4, 3, 1, 1]"});
  f.refuse({Recipe::matrix, {"linear"}, 6, 5}, {"expected [6, 5, 1, 1]"});
  f.refuse({Recipe::matrix, {"linear"}, 7, 4}, {"expected [7, 4, 1, 1]"});
  f.refuse({Recipe::matrix, {"vector"}, 6, 1}, {"[6]", "expected [6, 1, 1, 1]"});
  f.refuse({Recipe::matrix, {"linear", "pointwise"}, 13, 4, 1, 1, {6, 7}},
           {"\"pointwise\" has shape [6, 4, 1, 1]", "expected [7, 4, 1, 1]"});
}

TEST(weights_table) {
  Fixture f;
  f.source->add("table", {10, 4});
  f.source->add("other", {10, 4, 1, 1});
  f.accept({Recipe::table, {"table"}, 10, 4});
  f.refuse({Recipe::table, {"table"}, 11, 4}, {"[10, 4]", "expected [11, 4]"});
  f.refuse({Recipe::table, {"other"}, 10, 4}, {"[10, 4, 1, 1]"});
}

TEST(weights_pack_once_and_update_in_place) {
  Fixture f;
  f.source->add("a", {2});
  f.source->add("b", {2});
  const WeightSpec both{.names = {"a", "b"}, .out = 4, .rows = {2, 2}},
      one{Recipe::vector, {"b"}, 2};
  const auto& packed = static_cast<const Packed&>(f.weights.get(both));
  CHECK(&f.weights.get(both) == &packed);
  f.weights.get(one);
  CHECK_EQ(f.backend.packs, 2);
  CHECK_EQ(f.weights.packed_bytes(), size_t(24));
  CHECK_EQ(packed.values[3], 1.0f);
  f.source->values("a")[1] = 7;
  CHECK_EQ(f.weights.update({"a", "b"}), size_t(2));
  CHECK_EQ(f.weights.update({"a"}), size_t(1));
  CHECK_EQ(f.weights.update({"c"}), size_t(0));
  CHECK_EQ(f.backend.packs, 2);
  CHECK_EQ(packed.values[1], 7.0f);
  CHECK(f.weights.contains("a"));
  CHECK(!f.weights.contains("c"));
}

TEST(weights_read_floats) {
  std::vector<float> out(4);
  const uint16_t halves[] = {0x3c00, 0xc000, 0x0001, 0x83ff, 0x7bff, 0x7c00};
  read_floats({Type::f16, {6}, halves, 6}, 1, 4, out.data());
  CHECK_EQ(out[0], -2.0f);
  CHECK_EQ(out[1], 0x1p-24f);
  CHECK_EQ(out[2], -0x3ffp-24f);
  CHECK_EQ(out[3], 65504.0f);
  read_floats({Type::f16, {6}, halves, 6}, 5, 1, out.data());
  CHECK(out[0] > 3e38f);
  const uint16_t brains[] = {0x3fc0, 0xc0a0};
  read_floats({Type::bf16, {2}, brains, 2}, 0, 2, out.data());
  CHECK_EQ(out[0], 1.5f);
  CHECK_EQ(out[1], -5.0f);
  const float floats[] = {1, 2, 3};
  read_floats({Type::f32, {3}, floats, 3}, 1, 2, out.data());
  CHECK_EQ(out[1], 3.0f);
  const int32_t integers[] = {-7};
  read_floats({Type::i32, {1}, integers, 1}, 0, 1, out.data());
  CHECK_EQ(out[0], -7.0f);
}

TEST(more_inputs_are_zeros_behind_a_convolutions_own) {
  auto own = std::make_shared<Source>();
  own->add("conv_in.weight", {2, 2, 1, 3});
  own->add("conv_in.bias", {2});
  const auto more = with_more_inputs(own, 3);
  const SourceTensor& wide = *more->find("conv_in.weight");
  CHECK(wide.shape == (std::vector<int64_t>{2, 3, 1, 3}));
  std::vector<float> expected;
  for (int row = 0; row < 2; row++)
    for (int i = 0; i < 9; i++) expected.push_back(i < 6 ? float(6 * row + i) : 0);
  CHECK_EQ(wide.count, expected.size());
  // Any part of it.
  for (size_t first = 0; first < wide.count; first++)
    for (size_t count = 0; first + count <= wide.count; count++) {
      std::vector<float> part(count, -1);
      read_floats(wide, first, count, part.data());
      CHECK(std::equal(part.begin(), part.end(), expected.begin() + ptrdiff_t(first)));
    }
  CHECK(more->find("conv_in.bias") == own->find("conv_in.bias"));
  CHECK(!more->find("conv_out.weight"));
  // What has as many is itself.
  CHECK(with_more_inputs(own, 2)->find("conv_in.weight") == own->find("conv_in.weight"));
}

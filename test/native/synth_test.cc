#include "runtime/synth.h"

#include <sys/resource.h>

#include <cmath>
#include <csignal>

#include "runtime/error.h"
#include "runtime/safetensors.h"
#include "runtime/stored_weights.h"
#include "temporary_folder.h"
#include "test.h"

using namespace deepcache;
using deepcache::test::TemporaryFolder;

namespace {

std::vector<float> values_of(const SyntheticTensor& tensor) {
  std::vector<float> values(tensor.count());
  synthetic_values(tensor, 0, values.size(), values.data());
  return values;
}

void check_first(const SyntheticTensor& tensor, const std::vector<float>& expected) {
  const std::vector<float> values = values_of(tensor);
  for (size_t i = 0; i < expected.size(); i++) CHECK_EQ(values[i], expected[i]);
}

const std::vector<SyntheticTensor> kModel = {{"conv_in.weight", {320, 4, 3, 3}},
                                             {"conv_in.bias", {320}},
                                             {"large.weight", {1100, 512}},  // several chunks
                                             {"conv_norm_out.weight", {320}}};

}  // namespace

// The check values of the definition.
TEST(synth_values) {
  check_first({"conv_in.weight", {320, 4, 3, 3}},
              {0.0411376953125f, -0.2203369140625f, 0.2408447265625f, 0.25244140625f});
  check_first({"conv_in.bias", {320}},
              {-0.0258026123046875f, 0.0190887451171875f, 0.0128173828125f, 0.040374755859375f});
  check_first({"conv_norm_out.weight", {320}},
              {0.94677734375f, 0.97216796875f, 1.0830078125f, 1.0615234375f});
  check_first({"input.sample", {2, 4, 64, 64}},
              {-0.69970703125f, -0.371826171875f, -0.1947021484375f, -0.58837890625f});
  check_first({"input.encoder_hidden_states", {2, 77, 768}},
              {-0.324951171875f, -0.48779296875f, 1.5556640625f, 1.26171875f});
}

TEST(synth_gains) {
  const auto deviation = [](const std::string& name) {
    double squares = 0;
    const std::vector<float> values = values_of({name, {64, 64, 3, 3}});
    for (const float value : values) squares += double(value) * value;
    return std::sqrt(squares / double(values.size()) * 64 * 9);
  };
  CHECK_NEAR(deviation("a.conv1.weight"), 1, 0.02);
  CHECK_NEAR(deviation("a.conv2.weight"), 0.5, 0.01);
  CHECK_NEAR(deviation("a.to_out.0.weight"), 0.5, 0.01);
  CHECK_NEAR(deviation("a.ff.net.2.weight"), 0.5, 0.01);
  CHECK_NEAR(deviation("a.ff_in.net.2.weight"), 0.5, 0.01);
  CHECK_NEAR(deviation("a.proj_out.weight"), 0.5, 0.01);
  CHECK_NEAR(deviation("a.to_q.weight"), 1.5, 0.03);
  CHECK_NEAR(deviation("a.to_k.weight"), 1.5, 0.03);
  CHECK_NEAR(deviation("a.to_v.weight"), 1, 0.02);
}

TEST(synth_parts_agree) {
  const SyntheticTensor tensor{"conv_in.weight", {320, 4, 3, 3}};
  const std::vector<float> all = values_of(tensor);
  std::vector<float> part(100);
  synthetic_values(tensor, 1234, part.size(), part.data());
  for (size_t i = 0; i < part.size(); i++) CHECK_EQ(part[i], all[1234 + i]);
}

TEST(synth_tensors_of_specs) {
  const WeightSpec fused{.recipe = Recipe::matrix,
                         .names = {"to_q.weight", "to_k.weight"},
                         .out = 12,
                         .in = 5,
                         .rows = {8, 4},
                         .linear = true};
  const WeightSpec conv{.recipe = Recipe::matrix,
                        .names = {"conv.weight"},
                        .out = 6,
                        .in = 5,
                        .kernel_h = 3,
                        .kernel_w = 3};
  const WeightSpec bias{.names = {"conv.bias"}, .out = 6};
  const auto tensors = synthetic_tensors({fused, conv, bias, conv});
  CHECK_EQ(tensors.size(), size_t(4));
  CHECK_EQ(tensors[1].name, std::string("to_k.weight"));
  CHECK(tensors[0].shape == std::vector<int64_t>({8, 5}));
  CHECK(tensors[1].shape == std::vector<int64_t>({4, 5}));
  CHECK(tensors[2].shape == std::vector<int64_t>({6, 5, 3, 3}));
  CHECK(tensors[3].shape == std::vector<int64_t>({6}));
}

TEST(synth_in_memory) {
  SyntheticWeights weights(kModel);
  CHECK_EQ(weights.names().size(), size_t(4));
  CHECK(weights.find("none") == nullptr);
  for (int round = 0; round < 2; round++) {
    for (const SyntheticTensor& tensor : kModel) {
      const SourceTensor* found = weights.find(tensor.name);
      CHECK(found->shape == tensor.shape);
      CHECK_EQ(found->count, tensor.count());
      std::vector<float> values(found->count);
      read_floats(*found, 0, found->count, values.data());
      CHECK(values == values_of(tensor));
    }
    weights.release();
  }
}

TEST(synth_file) {
  TemporaryFolder folder;
  const std::string path = folder.path("unet.safetensors");
  for (const Type type : {Type::f16, Type::f32}) {
    SyntheticFileOptions options;
    options.type = type;
    options.metadata = {{"format", "pt"}};
    size_t last = 0, expected = 0;
    options.progress = [&](size_t done, size_t total) {
      CHECK(done > last);
      last = done;
      expected = total;
    };
    write_synthetic(path, kModel, options);
    CHECK_EQ(last, expected);
    CHECK_EQ(SafetensorsFile::open(path)->metadata().at("format"), std::string("pt"));
    const auto weights = open_weights({path});
    for (const SyntheticTensor& tensor : kModel) {
      const SourceTensor* found = weights->find(tensor.name);
      CHECK(found->type == type);
      std::vector<float> values(found->count);
      read_floats(*found, 0, found->count, values.data());
      CHECK(values == values_of(tensor));
    }
  }
}

TEST(synth_file_leaves_nothing_behind) {
  TemporaryFolder folder;
  const std::string path = folder.path("unet.safetensors");
  std::atomic<bool> cancel{false};
  SyntheticFileOptions options;
  options.cancel = &cancel;
  options.progress = [&](size_t, size_t) { cancel = true; };
  CHECK_THROWS(write_synthetic(path, kModel, options), ErrorCode::kAborted);
  CHECK(std::filesystem::is_empty(folder.path()));

  // A file size limit stands in for a full disk.
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{100000, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  std::string message;
  try {
    write_synthetic(path, kModel, {});
  } catch (const Error& error) {
    message = error.what();
  }
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  CHECK_EQ(message, path + ": cannot be written: File too large");
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST(synth_file_refuses) {
  TemporaryFolder folder;
  SyntheticFileOptions options;
  options.type = Type::bf16;
  CHECK_THROWS(write_synthetic(folder.path("a"), kModel, options), ErrorCode::kInvalidArgument);
  CHECK_THROWS(write_synthetic(folder.path("a"), {{"a", {-1}}}, {}), ErrorCode::kInvalidArgument);
  CHECK_THROWS(write_synthetic(folder.path("no/a"), kModel, {}), ErrorCode::kInvalidArgument);
}

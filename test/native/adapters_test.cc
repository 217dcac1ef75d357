#include <atomic>
#include <cmath>
#include <optional>
#include <random>
#include <thread>

#include "adapters/adapted_weights.h"
#include "models/run_gate.h"
#include "models/unet.h"
#include "models/weight_plans.h"
#include "runtime/backend.h"
#include "runtime/error.h"
#include "test.h"
#include "tiny_unet.h"

using namespace deepcache;

namespace {

// Tensors of random values.
class Source : public WeightSource {
 public:
  SourceTensor add(const std::string& name, std::vector<int64_t> shape) {
    size_t count = 1;
    for (const int64_t extent : shape) count *= size_t(extent);
    std::vector<float>& values = values_[name];
    values.resize(count);
    std::normal_distribution<float> normal;
    for (float& value : values) value = normal(random_);
    return tensors_[name] = {Type::f32, std::move(shape), values.data(), count};
  }
  const std::vector<float>& values(const std::string& name) const { return values_.at(name); }
  const SourceTensor* find(const std::string& name) const override {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : &found->second;
  }
  std::vector<std::string> names() const override { return {}; }
  std::string description() const override { return "adapter.safetensors"; }

 private:
  std::mt19937 random_{7};
  std::map<std::string, std::vector<float>> values_;
  std::map<std::string, SourceTensor> tensors_;
};

// One weight of 70 x 6 (x 3 x 3) with a term on it.
struct Fixture {
  static constexpr size_t kRows = 70, kIn = 6;
  explicit Fixture(size_t taps) : taps(taps) {
    if (taps == 1)
      source->add("w", {kRows, kIn});
    else
      source->add("w", {kRows, kIn, 3, 3});
    term.files = source;
  }
  size_t width() const { return kIn * taps; }
  void add(const std::string& role, std::vector<int64_t> shape) {
    term.tensors[role] = source->add(role, std::move(shape));
  }
  double value(const std::string& role, size_t i) const { return source->values(role)[i]; }

  void apply() { apply({term}); }
  void apply(std::vector<AdapterTerm> terms) { weights.exchange({{"w", std::move(terms)}}); }
  std::vector<float> read() const { return values_of(*weights.find("w")); }

  // scale * factor * delta(row, column) must have been added.
  template <typename Delta>
  void check(const Delta& delta) {
    apply();
    const std::vector<float> values = read();
    for (size_t r = 0; r < kRows; r++)
      for (size_t c = 0; c < width(); c++) {
        const double wanted = value("w", r * width() + c) + delta(r, c);
        const double got = values[r * width() + c];
        if (std::fabs(got - wanted) > 2e-5 * (1 + std::fabs(wanted))) return CHECK_EQ(got, wanted);
      }
  }
  void refuse(const std::string& piece) {
    const std::vector<float> before = read();
    try {
      apply();
      CHECK(false);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kInvalidWeights);
      if (std::string(error.what()).find(piece) == std::string::npos)
        deepcache::test::fail(__FILE__, __LINE__, error.what());
    }
    CHECK(read() == before);
  }

  size_t taps;
  std::shared_ptr<Source> source = std::make_shared<Source>();
  AdaptedWeights weights{source};
  AdapterTerm term;
};

}  // namespace

TEST(adapters_lora) {
  for (const size_t taps : {1, 9}) {
    Fixture f(taps);
    f.add("up", {70, 5});
    f.add("down", taps == 1 ? std::vector<int64_t>{5, 6} : std::vector<int64_t>{5, 6, 3, 3});
    f.term.scale = 0.5;
    f.term.factor = 0.8;
    f.check([&](size_t r, size_t c) {
      double sum = 0;
      for (size_t i = 0; i < 5; i++)
        sum += f.value("up", r * 5 + i) * f.value("down", i * f.width() + c);
      return 0.4 * sum;
    });
  }
}

TEST(adapters_tucker) {
  Fixture f(9);
  f.add("up", {70, 3, 1, 1});
  f.add("mid", {3, 2, 3, 3});
  f.add("down", {2, 6, 1, 1});
  f.check([&](size_t r, size_t c) {
    double sum = 0;
    for (size_t a = 0; a < 3; a++)
      for (size_t b = 0; b < 2; b++)
        sum += f.value("up", r * 3 + a) * f.value("mid", (a * 2 + b) * 9 + c % 9) *
               f.value("down", b * 6 + c / 9);
    return sum;
  });
}

TEST(adapters_loha) {
  Fixture f(9);
  f.term.kind = AdapterKind::loha;
  f.add("w1_a", {70, 3});
  f.add("w1_b", {3, 54});
  f.add("w2_a", {3, 70});  // with its core: [r, out]
  f.add("t2", {3, 2, 3, 3});
  f.add("w2_b", {2, 6});
  f.term.scale = -0.7;
  f.check([&](size_t r, size_t c) {
    double one = 0, two = 0;
    for (size_t i = 0; i < 3; i++) one += f.value("w1_a", r * 3 + i) * f.value("w1_b", i * 54 + c);
    for (size_t p = 0; p < 3; p++)
      for (size_t q = 0; q < 2; q++)
        two += f.value("t2", (p * 2 + q) * 9 + c % 9) * f.value("w2_a", p * 70 + r) *
               f.value("w2_b", q * 6 + c / 9);
    return -0.7 * one * two;
  });
}

TEST(adapters_glora) {
  for (const size_t taps : {1, 9}) {
    Fixture f(taps);
    f.term.kind = AdapterKind::glora;
    f.add("up", {70, 5});
    f.add("down", taps == 1 ? std::vector<int64_t>{5, 6} : std::vector<int64_t>{5, 6, 3, 3});
    f.add("w1_a", {6, 2});
    f.add("w1_b", {2, 6});
    f.term.scale = -0.5;
    f.term.factor = 0.8;
    f.check([&](size_t r, size_t c) {
      double sum = 0;
      for (size_t i = 0; i < 5; i++)
        sum += f.value("up", r * 5 + i) * f.value("down", i * f.width() + c);
      for (size_t i = 0; i < 6; i++)
        for (size_t k = 0; k < 2; k++)
          sum += f.value("w", r * f.width() + i * taps + c % taps) * f.value("w1_a", i * 2 + k) *
                 f.value("w1_b", k * 6 + c / taps);
      return -0.4 * sum;
    });
    f.add("w1_b", {3, 6});
    f.refuse("w1_b of shape [3, 6]");
    f.term.tensors.erase("w1_a");
    f.refuse("no tensor w1_a");
  }
}

TEST(adapters_lokr) {
  Fixture f(9);
  f.term.kind = AdapterKind::lokr;
  f.add("w1_a", {7, 2});
  f.add("w1_b", {2, 3});
  const auto one = [&](size_t i, size_t j) {
    return f.value("w1_a", i * 2) * f.value("w1_b", j) +
           f.value("w1_a", i * 2 + 1) * f.value("w1_b", 3 + j);
  };
  f.add("w2", {10, 2, 3, 3});
  f.check([&](size_t r, size_t c) {
    return one(r / 10, c / 18) * f.value("w2", r % 10 * 18 + c % 18);
  });
  f.term.tensors.erase("w2");
  f.add("t2", {4, 3, 3, 3});
  f.add("w2_a", {4, 10});
  f.add("w2_b", {3, 2});
  f.check([&](size_t r, size_t c) {
    double two = 0;
    for (size_t p = 0; p < 4; p++)
      for (size_t q = 0; q < 3; q++)
        two += f.value("t2", (p * 3 + q) * 9 + c % 9) * f.value("w2_a", p * 10 + r % 10) *
               f.value("w2_b", q * 2 + c % 18 / 9);
    return one(r / 10, c / 18) * two;
  });
  f.term.tensors.erase("t2");
  f.add("w2_a", {10, 4});
  f.add("w2_b", {4, 18});
  f.check([&](size_t r, size_t c) {
    double two = 0;
    for (size_t i = 0; i < 4; i++)
      two += f.value("w2_a", r % 10 * 4 + i) * f.value("w2_b", i * 18 + c % 18);
    return one(r / 10, c / 18) * two;
  });
}

TEST(adapters_ia3_and_full) {
  Fixture f(9);
  f.term.kind = AdapterKind::ia3;
  f.term.scale = 0.5;
  f.add("weight", {70});
  f.check(
      [&](size_t r, size_t c) { return 0.5 * f.value("weight", r) * f.value("w", r * 54 + c); });
  f.add("weight", {6});
  f.term.on_input = true;
  f.check([&](size_t r, size_t c) {
    return 0.5 * f.value("weight", c / 9) * f.value("w", r * 54 + c);
  });
  f.term.kind = AdapterKind::full;
  f.add("diff", {70, 6, 3, 3});
  f.check([&](size_t r, size_t c) { return 0.5 * f.value("diff", r * 54 + c); });
}

TEST(adapters_magnitude) {
  Fixture f(9);
  f.add("up", {70, 1});
  f.add("down", {1, 6, 3, 3});
  f.add("magnitude", {70, 1, 1, 1});
  f.term.scale = 0.6;
  f.term.factor = 2;
  f.term.rule = MagnitudeRule::interpolated;
  const auto adapted = [&](size_t r, size_t c, double scale) {
    return f.value("w", r * 54 + c) + scale * 2 * f.value("up", r) * f.value("down", c);
  };
  const auto of_row = [&](size_t r, double scale) {
    double sum = 0;
    for (size_t c = 0; c < 54; c++) sum += std::pow(adapted(r, c, scale), 2);
    return f.value("magnitude", r) / std::sqrt(sum);
  };
  f.check([&](size_t r, size_t c) {
    return 0.6 * (of_row(r, 1) * adapted(r, c, 1) - f.value("w", r * 54 + c));
  });
  f.term.rule = MagnitudeRule::peft;
  f.check([&](size_t r, size_t c) {
    return of_row(r, 0.6) * adapted(r, c, 0.6) - f.value("w", r * 54 + c);
  });
  f.term.rule = MagnitudeRule::interpolated;
  f.add("magnitude", {1, 6, 1, 1});
  std::vector<double> lengths(6);
  for (size_t i = 0; i < 70 * 54; i++)
    lengths[i % 54 / 9] += std::pow(adapted(i / 54, i % 54, 1), 2);
  f.check([&](size_t r, size_t c) {
    const double factor = f.value("magnitude", c / 9) / std::sqrt(lengths[c / 9]);
    return 0.6 * (factor * adapted(r, c, 1) - f.value("w", r * 54 + c));
  });
}

TEST(adapters_sum_and_go) {
  Fixture f(1);
  const std::vector<float> published = f.read();
  f.add("diff", {70, 6});
  f.term.kind = AdapterKind::full;
  AdapterTerm other = f.term;
  other.kind = AdapterKind::ia3;
  other.tensors = {{"weight", f.source->add("weight", {70})}};
  f.apply({f.term, other});
  const std::vector<float> both = f.read();
  // Each against the published weight, not one on top of the other.
  CHECK(std::fabs(both[0] - (published[0] + f.value("diff", 0) +
                             f.value("weight", 0) * published[0])) < 1e-5);
  // Any part of it is the same.
  std::vector<float> part(20);
  read_floats(*f.weights.find("w"), 3, part.size(), part.data());
  CHECK(std::equal(part.begin(), part.end(), both.begin() + 3));
  f.weights.release();
  CHECK(f.read() == both);
  const AdapterTerms before = f.weights.exchange({{"w", {}}});
  CHECK(f.read() == published);
  CHECK_EQ(before.at("w").size(), size_t(2));
  f.weights.exchange(before);
  CHECK(f.read() == both);
}

TEST(adapters_refuse_what_does_not_fit) {
  Fixture f(9);
  f.refuse("has no tensor up");
  f.add("up", {70, 5});
  f.refuse("has no tensor down");
  f.add("down", {5, 6});
  f.refuse("tensor down of shape [5, 6], which does not fit");
  f.add("down", {4, 6, 3, 3});
  f.refuse("tensor down of shape [4, 6, 3, 3]");
  f.add("up", {71, 5});
  f.refuse("tensor up of shape [71, 5]");
  f.add("up", {70, 5});
  f.add("down", {5, 6, 3, 3});
  f.term.tensors["down"].shape = {-5, -6, 3, 3};
  f.refuse("tensor down of shape [-5, -6, 3, 3]");
  f.term.tensors["down"].shape = {5, 6, 3, 3};
  f.apply();
  f.term.rule = MagnitudeRule::interpolated;
  f.refuse("has no tensor magnitude");
  f.add("magnitude", {6});
  f.refuse("tensor magnitude of shape [6]");
  f.term.rule = MagnitudeRule::none;
  f.term.kind = AdapterKind::lokr;
  f.add("w1", {8, 3});
  f.refuse("tensor w1 of shape [8, 3]");
  f.add("w1", {7, 3});
  f.add("w2", {10, 1, 3, 3});
  f.refuse("tensor w2");
  try {
    f.weights.exchange({{"w", {}}, {"x", {f.term}}});
    CHECK(false);
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("has no weight \"x\"") != std::string::npos);
  }
}

namespace {

// Values that cannot be read.
class Unreadable : public ComputedTensor {
 public:
  void read(size_t, size_t, float*) const override {
    throw Error(ErrorCode::kInvalidWeights, "the disk failed");
  }
};

}  // namespace

TEST(adapters_that_fail_on_the_way_leave_the_model_as_it_was) {
  const UnetConfig config = test::tiny_with("");
  Unet unet(config, synthetic_weights(weight_plans(config)),
            std::shared_ptr<Backend>(make_cpu_backend(2)));
  const std::vector<std::string> names = {"conv_in.bias", "conv_in.weight", "conv_out.weight"};
  const std::vector<std::vector<int64_t>> shapes = {{8}, {8, 4, 3, 3}, {4, 8, 3, 3}};
  std::vector<std::vector<float>> published;
  for (const std::string& name : names) published.push_back(unet.read_weight(name));
  const auto forward = [&] {
    const std::vector<float> sample(size_t(config.in_channels) * 64, 0.5f);
    const std::vector<float> context(size_t(config.context_width) * 3, 0.1f);
    UnetForward request;
    request.height = request.width = 8;
    request.sample = sample.data();
    request.timesteps = {500};
    request.conditions.context = context.data();
    request.conditions.context_length = 3;
    return unet.forward(request, nullptr, nullptr);
  };
  const std::vector<float> before = forward();
  const Unreadable unreadable;
  AdapterTerms terms;
  for (size_t i = 0; i < names.size(); i++) {
    AdapterTerm term;
    term.kind = AdapterKind::full;
    SourceTensor diff{Type::f32, shapes[i], published[i].data(), published[i].size()};
    if (i == 2) diff.computed = &unreadable;
    term.tensors["diff"] = diff;
    terms[names[i]] = {term};
  }
  try {
    unet.adapt(terms, nullptr);
    CHECK(false);
  } catch (const Error& error) {
    CHECK_EQ(std::string(error.what()), std::string("the disk failed"));
  }
  for (size_t i = 0; i < names.size(); i++) CHECK(unet.read_weight(names[i]) == published[i]);
  CHECK(forward() == before);
  // What can be read is applied in place.
  terms.erase("conv_out.weight");
  CHECK_EQ(unet.adapt(terms, nullptr), size_t(2));
  CHECK(forward() != before);
  CHECK_EQ(unet.read_weight("conv_in.bias")[0], 2 * published[0][0]);
  unet.adapt({{"conv_in.bias", {}}, {"conv_in.weight", {}}}, nullptr);
  CHECK(forward() == before);
}

TEST(adapters_run_gate) {
  RunGate gate;
  std::atomic<int> state{0};
  std::optional<RunGate::Run> run(std::in_place, gate, nullptr);
  std::thread change([&] {
    const RunGate::Change changing(gate, nullptr);
    state = 1;
  });
  CHECK_EQ(state.load(), 0);
  run.reset();
  change.join();
  CHECK_EQ(state.load(), 1);
  // What is cancelled waits no longer, and holds nobody up.
  run.emplace(gate, nullptr);
  const CancelFlag cancel{true};
  bool aborted = false;
  try {
    const RunGate::Change changing(gate, &cancel);
  } catch (const Error& error) {
    aborted = error.code() == ErrorCode::kAborted;
  }
  CHECK(aborted);
  const RunGate::Run second(gate, nullptr);
}

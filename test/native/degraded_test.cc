// Self-attention guidance: the last of a sample's outputs is computed on latents that the others
// and the mid block's attention degrade.

#include "control_checks.h"
#include "degraded_checks.h"
#include "runtime/error.h"

namespace deepcache::test {
namespace {

constexpr int kSide = 16, kPixels = kSide * kSide, kSmall = 4;
const std::string kBlock = "mid_block.attentions.0.transformer_blocks.0";

std::vector<double> matrix(const std::string& name, int width) {
  const SyntheticTensor tensor{name, {width, width}};
  std::vector<float> values(tensor.count());
  synthetic_values(tensor, 0, values.size(), values.data());
  return {values.begin(), values.end()};
}

// The mean over heads and the sum over queries of softmax(q k^T / sqrt(width)), of normed pixels.
std::vector<double> mass_of(const std::vector<float>& h, int channels, int heads) {
  const int pixels = int(h.size()) / channels, width = channels / heads;
  const auto project = [&](const char* name) {
    const std::vector<double> weight = matrix(kBlock + ".attn1." + name + ".weight", channels);
    std::vector<double> out(h.size());
    for (int p = 0; p < pixels; ++p)
      for (int o = 0; o < channels; ++o)
        for (int i = 0; i < channels; ++i)
          out[size_t(p * channels + o)] +=
              weight[size_t(o * channels + i)] * double(h[size_t(p * channels + i)]);
    return out;
  };
  const std::vector<double> q = project("to_q"), k = project("to_k");
  std::vector<double> mass(size_t(pixels), 0.0);
  for (int head = 0; head < heads; ++head)
    for (int j = 0; j < pixels; ++j) {
      std::vector<double> scores;
      double sum = 0;
      for (int i = 0; i < pixels; ++i) {
        double dot = 0;
        for (int d = head * width; d < (head + 1) * width; ++d)
          dot += q[size_t(j * channels + d)] * k[size_t(i * channels + d)];
        scores.push_back(std::exp(dot / std::sqrt(double(width))));
        sum += scores.back();
      }
      for (int i = 0; i < pixels; ++i) mass[size_t(i)] += scores[size_t(i)] / sum / heads;
    }
  return mass;
}

int mirrored(int i) { return i < 0 ? -i : i >= kSide ? 2 * (kSide - 1) - i : i; }

// A channel's plane.
std::vector<double> blurred(const std::vector<double>& plane) {
  double total = 0;
  for (int i = -4; i <= 4; ++i) total += std::exp(-i * i / 2.0);
  std::vector<double> out(plane.size());
  for (int y = 0; y < kSide; ++y)
    for (int x = 0; x < kSide; ++x)
      for (int i = -4; i <= 4; ++i)
        for (int j = -4; j <= 4; ++j)
          out[size_t(y * kSide + x)] += std::exp(-(i * i + j * j) / 2.0) / total / total *
                                        plane[size_t(mirrored(y + i) * kSide + mirrored(x + j))];
  return out;
}

// A run, pass by pass. A retrieve step has the mass of the last full one.
std::vector<float> by_hand(Unet& unet, const BatchRun& run) {
  const UnetDenoise& request = run.request;
  const StepTable& table = request.table;
  const bool guided = request.outputs == 3;
  std::vector<double> x(request.latents, request.latents + 4 * kPixels), mass;
  int masked = 0;
  for (const StepRow& row : table.rows) {
    const auto number = [&](Coefficient c) { return double(table.value(c, 0)); };
    const bool full = table.is_full(row.program);
    const auto pass = [&](const std::vector<double>& latents, int first, int outputs,
                          const Tap* tap) {
      std::vector<float> sample;
      for (int i = 0; i < outputs; ++i)
        for (const double value : latents) sample.push_back(float(number(row.input_scale) * value));
      UnetForward forward;
      forward.batch = outputs;
      forward.height = forward.width = kSide;
      forward.sample = sample.data();
      forward.timesteps = {table.value(row.timestep, 0)};
      forward.conditions.context = request.conditions.context + first * kRunTokens * 12;
      forward.conditions.context_length = kRunTokens;
      if (full)
        forward.features = {1};
      else
        forward.retrieve = 1;
      const std::vector<float> out = unet.forward(forward, nullptr, tap);
      return std::vector<double>(out.begin(), out.end());
    };
    const Tap look = [&](const std::string& label, const Shape& shape, const float* values) {
      if (label != kBlock + ".norm1") return;
      const size_t one = size_t(shape.h * shape.w * shape.c);
      mass = mass_of({values, values + one}, shape.c, 2);
    };
    const std::vector<double> others = pass(x, 0, request.outputs - 1, full ? &look : nullptr);
    std::vector<double> degraded = x;
    for (int c = 0; c < 4; ++c) {
      std::vector<double> clean;
      for (int i = c * kPixels; i < (c + 1) * kPixels; ++i)
        clean.push_back(number(row.x0_x) * x[size_t(i)] + number(row.x0_m) * others[size_t(i)]);
      const std::vector<double> soft = blurred(clean);
      for (int i = 0; i < kPixels; ++i) {
        const int place = i / kSide * kSmall / kSide * kSmall + i % kSide * kSmall / kSide;
        if (mass[size_t(place)] <= 1) continue;
        masked++;
        degraded[size_t(c * kPixels + i)] +=
            number(row.signal) * (soft[size_t(i)] - clean[size_t(i)]);
      }
    }
    const std::vector<double> last = pass(degraded, request.outputs - 1, 1, nullptr);
    for (size_t i = 0; i < x.size(); ++i) {
      const double u = others[i], c = guided ? others[x.size() + i] : u;
      const double m = u + (guided ? DegradedTest::kScale : 0) * (c - u) +
                       double(DegradedTest::kBy) * (u - last[i]);
      x[i] = 0.97f * x[i] + -0.03f * m;
    }
  }
  CHECK(masked > 0);
  CHECK(masked < int(table.rows.size()) * 4 * kPixels);
  return {x.begin(), x.end()};
}

}  // namespace

TEST(degraded_outputs_pass_by_pass) {
  const DegradedTest test(make_cpu_backend(1));
  for (const int outputs : {2, 3}) {
    // Without other guidance retrieve steps by hand would share a feature.
    const std::vector<bool> full = outputs == 3
                                       ? std::vector<bool>{true, false, true, true, false, false}
                                       : std::vector<bool>(4, true);
    const auto run = test.run(full, outputs);
    const std::vector<float> actual = test.latents(run);
    const std::vector<float> expected = by_hand(*test.unet, *run);
    CHECK(ControlTest::difference(actual, expected) < 2e-5);
    for (StepRow& row : run->request.table.rows) row.signal = run->number(0);
    CHECK(ControlTest::difference(test.latents(run), expected) > 1e-1);
  }
}

TEST(degraded_rows_that_may_skip) {
  const DegradedTest test(make_cpu_backend(1));
  const auto retrieved = test.run({true, false, true, false});
  const auto skips = test.run({true, true, true, true});
  for (const size_t i : {size_t(1), size_t(3)}) {
    StepRow& row = skips->request.table.rows[i];
    row.max_skips = 1;
    row.instead = 1;
    row.skip_below = INFINITY;
  }
  CHECK(test.latents(skips) == test.latents(retrieved));
  for (const size_t i : {size_t(1), size_t(3)}) skips->request.table.rows[i].skip_below = 0;
  CHECK(test.latents(skips) == test.latents(test.run({true, true, true, true})));
}

TEST(degraded_samples_do_not_depend_on_each_other) {
  const DegradedTest test(make_cpu_backend(1));
  const std::vector<bool> full{true, false, true};
  const auto both = test.run(full, 3, 2);
  const std::vector<float> expected = test.latents(both);
  const size_t each = 4 * kPixels, context = size_t(kRunTokens) * 12;
  for (size_t i : {size_t(0), size_t(1)}) {
    const auto one = test.run(full, 3, 1);
    one->request.latents = both->request.latents + i * each;
    std::vector<float> contexts;
    for (size_t output = 0; output < 3; ++output) {
      const float* from = both->request.conditions.context + (2 * output + i) * context;
      contexts.insert(contexts.end(), from, from + context);
    }
    one->request.conditions.context = contexts.data();
    const auto begin = expected.begin() + ptrdiff_t(i * each);
    CHECK(test.latents(one) == std::vector<float>(begin, begin + ptrdiff_t(each)));
  }
}

TEST(degraded_runs_keep_apart) {
  const DegradedTest test(make_cpu_backend(1));
  const auto make = [&] { return test.run({true, false, true, false}); };
  const Trace alone = trace_alone(*test.unet, *make());
  const Trace plain = trace_alone(*test.unet, *ten_steps(*test.unet, 16));
  UnetBatch batch(*test.unet);
  Driven a(*test.unet, make()), b(*test.unet, make()), c(*test.unet, ten_steps(*test.unet, 16)),
      d(*test.unet, ten_steps(*test.unet, 16));
  for (int i = 0; i < 4; ++i) tick(*test.unet, batch, {&a, &b, &c, &d});
  for (int i = 0; i < 6; ++i) tick(*test.unet, batch, {&c, &d});
  for (Driven* one : {&a, &b, &c, &d}) one->finish();
  CHECK_EQ(batch.shared_passes(), 10);  // of c and d
  CHECK(a.trace == alone);
  CHECK(b.trace == alone);
  CHECK(c.trace == plain);
  CHECK(d.trace == plain);
}

TEST(degraded_outputs_need_what_degrades_them) {
  const DegradedTest test(make_cpu_backend(1));
  const auto refused = [&](const std::function<void(BatchRun&)>& change) {
    const auto run = test.run({true, false});
    change(*run);
    CHECK_THROWS(test.latents(run), ErrorCode::kInvalidArgument);
  };
  refused([](BatchRun& run) { run.request.table.rows[1].has_signal = false; });
  refused([](BatchRun& run) { run.request.table.programs[0].degrades = false; });
  refused([](BatchRun& run) { run.request.table.programs[0].halves = Halves::conditional; });
  refused(
      [](BatchRun& run) { run.request.table.programs[0].attention.cross = AttentionUse::keep; });
  refused([](BatchRun& run) {
    run.request.outputs = 1;
    for (StepRow& row : run.request.table.rows) row.guided = row.guided_by_third = false;
  });
  const UnetConfig config = tiny_with(R"("mid_block_type": "UNetMidBlock2D")");
  Unet without(config, synthetic_weights(weight_plans(config)),
               std::shared_ptr<Backend>(make_cpu_backend(1)));
  CHECK_THROWS(without.denoise(test.run({true})->request, nullptr, nullptr),
               ErrorCode::kUnsupported);
}

}  // namespace deepcache::test

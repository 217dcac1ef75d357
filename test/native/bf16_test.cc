// Products of bf16 on the CPU: how values are rounded, which layers are of them, and that neither
// threads nor the rest of a batch change a bit.

#include <algorithm>
#include <bit>
#include <cmath>

#include "executions.h"
#include "models/vae.h"
#include "tiny_unet.h"

namespace deepcache::test {
namespace {

float widened(cpu::Bf16 value) { return std::bit_cast<float>(uint32_t(value) << 16); }

bool same(float a, float b) {
  return std::isnan(a) ? std::isnan(b) : std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
}

std::vector<float> interesting() {
  std::vector<float> out = {0, INFINITY, NAN, 3.4e38f, 3.39e38f, 1e-40f, 0x1p-126f, 0x1.ffp-127f};
  for (const uint32_t nan : {0x7f800001u, 0x7fffffffu, 0xff800001u})
    out.push_back(std::bit_cast<float>(nan));
  for (uint32_t i = 0; i < 300; i++)
    for (const uint32_t low : {0x0000u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu})
      out.push_back(
          std::bit_cast<float>(0x00800000u + i * 0x680000u % 0x7e000000u + (i << 16) + low));
  const size_t count = out.size();
  for (size_t i = 0; i < count; i++) out.push_back(-out[i]);
  out.resize(out.size() / 64 * 64);
  return out;
}

double relative_l2(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); i++) {
    difference += std::pow(double(a[i]) - b[i], 2);
    norm += double(b[i]) * b[i];
  }
  return std::sqrt(difference / norm);
}

std::vector<float> forward(Unet& unet, const std::vector<float>& sample, int first, int batch) {
  static const auto context = values("context", {2, 3, 12});
  return unet.forward(tiny_pass(sample, context, first, batch), nullptr, nullptr);
}

std::unique_ptr<Unet> unet_on(std::shared_ptr<Backend> backend) {
  const UnetConfig config = UnetConfig::parse(kTiny);
  return std::make_unique<Unet>(config, synthetic_weights(weight_plans(config)), backend);
}

}  // namespace

TEST(bf16_rounds_to_nearest_even) {
  const std::vector<float> values = interesting();
  for (const char* isa : kIsas) {
    const cpu::Kernels* kernels = cpu::find_kernels(isa);
    if (!kernels) continue;
    const size_t width = kernels->panel;
    std::vector<cpu::Bf16> pairs(2 * width);
    for (size_t i = 0; i + 2 * width <= values.size(); i += 2 * width) {
      kernels->bf16->pair(&values[i], &values[i + width], pairs.data());
      for (size_t j = 0; j < 2 * width; j++)
        CHECK(same(widened(pairs[j]), nearest_bf16(values[i + j / 2 + j % 2 * width])));
    }
  }
}

TEST(bf16_rows_become_tiles) {
  const std::vector<float> values = interesting();
  for (const char* isa : kIsas) {
    const cpu::Kernels* kernels = cpu::find_kernels(isa);
    if (!kernels) continue;
    // Two pieces that fill parts of three tiles.
    constexpr int kFirst = 37, kSecond = 29, kTiles = 3, kTile = cpu::kBf16Rows * cpu::kBf16Depth;
    std::vector<cpu::Bf16> tiles(kTiles * kTile, 0x7fc0);
    std::vector<cpu::Bf16> narrow, others = tiles;
    for (const float value : values)
      narrow.push_back(std::isnan(value)
                           ? 0x7fc0
                           : uint16_t(std::bit_cast<uint32_t>(nearest_bf16(value)) >> 16));
    const void *rows[cpu::kBf16Rows], *narrow_rows[cpu::kBf16Rows];
    for (int r = 0; r < cpu::kBf16Rows; r++) {
      rows[r] = &values[r * 40];
      narrow_rows[r] = &narrow[r * 40];
    }
    kernels->bf16->gather(rows, kFirst, 1, tiles.data(), 0);
    kernels->bf16->gather(rows, kSecond, -1, tiles.data(), kFirst);
    kernels->bf16->gather_bf16(narrow_rows, kFirst, 1, others.data(), 0);
    kernels->bf16->gather_bf16(narrow_rows, kSecond, -1, others.data(), kFirst);
    for (int r = 0; r < cpu::kBf16Rows; r++)
      for (int k = 0; k < kTiles * cpu::kBf16Depth; k++) {
        const float* const row = &values[r * 40];
        const float x = k < kFirst ? row[k] : k < kFirst + kSecond ? -row[k - kFirst] : 0;
        const int at = k / cpu::kBf16Depth * kTile + r * cpu::kBf16Depth + k % cpu::kBf16Depth;
        const bool is_gap = k >= kFirst + kSecond;  // of zeros, of whichever sign
        for (const cpu::Bf16 value : {tiles[at], others[at]})
          CHECK(is_gap ? widened(value) == 0 : same(widened(value), nearest_bf16(x)));
      }
  }
}

TEST(bf16_kernels_agree) {
  // On values that need rounding, all sum the same products.
  const auto source = values("sample", {2, 4, 8, 8});
  std::vector<float> expected;
  for (const char* isa : kIsas) {
    const cpu::Kernels* kernels = cpu::find_kernels(isa);
    if (!kernels) continue;
    const auto unet = unet_on(std::make_shared<cpu::CpuBackend>(1, *kernels, Products::bf16));
    const std::vector<float> actual = forward(*unet, source, 0, 2);
    if (expected.empty()) expected = actual;
    // A sum's last bits may decide how the next layer's input is rounded.
    CHECK(relative_l2(actual, expected) < 2e-3);
  }
  const auto exact = forward(*unet_on(make_cpu_backend(1)), source, 0, 2);
  const double distance = relative_l2(expected, exact);
  CHECK(distance > 1e-5 && distance < 1e-2);
}

TEST(bf16_does_not_depend_on_threads_or_batch) {
  auto sample = values("sample", {2, 4, 8, 8});
  for (size_t i = 0; i < sample.size() / 2; i++) sample[i] *= 5;
  const auto unet = unet_on(make_cpu_backend(1, Products::bf16));
  const std::vector<float> both = forward(*unet, sample, 0, 2);
  CHECK(both == forward(*unet, sample, 0, 2));
  for (const int threads : {2, 3})
    CHECK(both == forward(*unet_on(make_cpu_backend(threads, Products::bf16)), sample, 0, 2));
  CHECK(std::equal(both.begin(), both.begin() + 256, forward(*unet, sample, 0, 1).begin()));
  CHECK(std::equal(both.begin() + 256, both.end(), forward(*unet, sample, 1, 1).begin()));
}

TEST(bf16_layers_are_all_but_the_sensitive_ones) {
  const UnetConfig config = UnetConfig::parse(kSd15);
  double full = 0;
  const Plan plan = plan_unet(config, {1, 64, 64, 77, 1}, {});
  for (const Op& op : plan.ops())
    if (op.kind == OpKind::conv && plan.weights()[op.conv.weight].full) {
      const std::string& name = plan.weights()[op.conv.weight].names[0];
      CHECK(name == "conv_in.weight" || name == "conv_out.weight");
      full += op.macs(plan.weights());
    }
  CHECK(full > 0 && full / plan.executed_macs() < 2e-3);
  const Plan time = plan_unet_time(config, 1, 1, 0);
  for (const WeightSpec& spec : time.weights()) CHECK(spec.full || spec.recipe == Recipe::vector);
}

TEST(bf16_halves_the_weights) {
  const auto bf16 = make_cpu_backend(1, Products::bf16), fp32 = make_cpu_backend(1);
  const WeightSpec matrix{Recipe::matrix, {"w"}, 640, 320, 3, 3};
  CHECK_EQ(2 * bf16->packed_bytes(matrix), fp32->packed_bytes(matrix));
  WeightSpec full = matrix;
  full.full = true;
  CHECK_EQ(bf16->packed_bytes(full), fp32->packed_bytes(full));
  const WeightSpec vector{Recipe::vector, {"b"}, 320};
  CHECK_EQ(bf16->packed_bytes(vector), fp32->packed_bytes(vector));
}

}  // namespace deepcache::test

#include "synth.h"

#include <cmath>
#include <initializer_list>
#include <string_view>

#include "checked.h"
#include "half.h"

// Compiled without contraction of multiply and add: the values are exact by definition.

namespace deepcache {
namespace {

constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;  // splitmix64's increment

uint64_t fnv1a(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3;
  }
  return hash;
}

bool ends_with_any(std::string_view name, std::initializer_list<std::string_view> endings) {
  for (const std::string_view ending : endings)
    if (name.ends_with(ending)) return true;
  return false;
}

// Small where a residual branch ends, so that activations stay near 1 through the depth; large
// before softmax, so that attention is not uniform.
double gain_of(std::string_view name) {
  if (ends_with_any(name, {".conv2.weight", ".to_out.0.weight", ".ff.net.2.weight",
                           ".ff_in.net.2.weight", ".proj_out.weight"}))
    return 0.5;
  return ends_with_any(name, {".to_q.weight", ".to_k.weight"}) ? 1.5 : 1;
}

struct Distribution {
  double scale, base;
};

Distribution distribution_of(const SyntheticTensor& tensor) {
  if (tensor.name.starts_with("input.")) return {std::sqrt(3.0), 0};
  if (tensor.shape.size() >= 2) {
    double fan_in = 1;
    for (size_t i = 1; i < tensor.shape.size(); i++) fan_in *= double(tensor.shape[i]);
    return {gain_of(tensor.name) * std::sqrt(3 / fan_in), 0};
  }
  if (tensor.name.ends_with(".bias")) return {0.05, 0};
  return {0.1, 1};
}

uint64_t mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

template <typename Store>
void generate(const SyntheticTensor& tensor, size_t offset, size_t count, Store store) {
  const uint64_t state = fnv1a(tensor.name) + offset + kGolden;
  const auto [scale, base] = distribution_of(tensor);
  for (size_t i = 0; i < count; i++) {
    const int64_t bits = int64_t(mix(state + i) >> 11);
    const double v = double(bits) * 0x1p-52 - 1;
    store(i, float_to_half(float(v * scale + base)));
  }
}

}  // namespace

size_t SyntheticTensor::count() const {
  Count count = 1;
  for (const int64_t extent : shape) count = count * extent;
  return count.value("the number of values of " + name);
}

void synthetic_values(const SyntheticTensor& tensor, size_t offset, size_t count, uint16_t* out) {
  generate(tensor, offset, count, [out](size_t i, uint16_t half) { out[i] = half; });
}

void synthetic_values(const SyntheticTensor& tensor, size_t offset, size_t count, float* out) {
  generate(tensor, offset, count, [out](size_t i, uint16_t half) { out[i] = half_to_float(half); });
}

}  // namespace deepcache

#include "reference.h"

#include <algorithm>
#include <cmath>

namespace deepcache::test {

const std::vector<double>& ReferenceState::get(const Tensor& tensor) const {
  static const std::vector<double> none;
  return tensor ? tensors.at(tensor.id) : none;
}

const std::vector<double>& ReferenceState::parameter(WeightId id) const {
  static const std::vector<double> none;
  return id >= 0 ? weights.at(id) : none;
}

std::vector<double>& ReferenceState::output(const Tensor& tensor) {
  auto& values = tensors[tensor.id];
  values.assign(tensor.shape.count(), 0);
  return values;
}

std::vector<double> ReferenceState::join(const Tensor& x, const Tensor& x2) const {
  std::vector<double> out;
  for (size_t r = 0; r < x.shape.rows(); r++)
    for (const Tensor* tensor : {&x, &x2}) {
      if (!*tensor) continue;
      const auto from = get(*tensor).begin() + ptrdiff_t(r * tensor->shape.c);
      out.insert(out.end(), from, from + tensor->shape.c);
    }
  return out;
}

double activate(Activation activation, double x) {
  switch (activation) {
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::gelu:
      return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case Activation::quick_gelu:
      return x / (1 + std::exp(-1.702 * x));
    case Activation::mish:
      return x * std::tanh(std::log1p(std::exp(x)));
    default:
      return x;
  }
}

void run_reference(const Op& op, ReferenceState& state) {
  op.visit([&](const auto& each) { reference(each, state); });
}

double relative_error(const std::vector<float>& actual, const std::vector<double>& expected) {
  if (actual.size() != expected.size()) return INFINITY;
  double error = 0, norm = 0;
  for (size_t i = 0; i < actual.size(); i++) {
    if (!std::isfinite(actual[i])) return INFINITY;
    error += (double(actual[i]) - expected[i]) * (double(actual[i]) - expected[i]);
    norm += expected[i] * expected[i];
  }
  return norm > 0 ? std::sqrt(error / norm) : error > 0 ? INFINITY : 0;
}

double largest_error(const std::vector<float>& actual, const std::vector<double>& expected) {
  if (actual.size() != expected.size()) return INFINITY;
  double error = 0, norm = 0;
  for (size_t i = 0; i < actual.size(); i++) {
    if (!std::isfinite(actual[i])) return INFINITY;
    error = std::max(error, std::fabs(double(actual[i]) - expected[i]));
    norm += expected[i] * expected[i];
  }
  return norm > 0 ? error / std::sqrt(norm / double(actual.size())) : error > 0 ? INFINITY : 0;
}

}  // namespace deepcache::test

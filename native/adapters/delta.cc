#include "adapters/delta.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "adapters/product.h"

namespace deepcache {
namespace {

using Values = std::vector<float>;

size_t rows_of(const SourceTensor& weight) { return size_t(weight.shape[0]); }
size_t width_of(const SourceTensor& weight) { return weight.count / rows_of(weight); }

// sum over b of core[a, b, taps] * inner[b, in] -> [a, in * taps]
Values expand(const Values& core, size_t outer, const Values& inner, size_t rank, size_t taps) {
  const size_t in = inner.size() / rank;
  Values out(outer * in * taps);
  for (size_t a = 0; a < outer; a++)
    for (size_t b = 0; b < rank; b++) {
      const float* const from = &core[(a * rank + b) * taps];
      for (size_t i = 0; i < in; i++) {
        float* const to = &out[(a * in + i) * taps];
        for (size_t t = 0; t < taps; t++) to[t] += from[t] * inner[b * in + i];
      }
    }
  return out;
}

// [r, n] -> [n, r]
Values transposed(const Values& values, size_t rank) {
  const size_t n = values.size() / rank;
  Values out(values.size());
  for (size_t r = 0; r < rank; r++)
    for (size_t i = 0; i < n; i++) out[i * rank + r] = values[r * n + i];
  return out;
}

Values multiplied(Values left, const Values& right, size_t rank) {
  const size_t rows = left.size() / rank;
  const Product product(std::move(left), right, rank);
  Values out(rows * product.width());
  product.add(0, rows, 1, out.data());
  return out;
}

// The factors of a term.
class Factors {
 public:
  explicit Factors(const AdapterTerm& term) : term_(term) {}
  bool has(const std::string& role) const { return term_.tensors.contains(role); }
  const SourceTensor& tensor(const std::string& role) const { return term_.tensors.at(role); }
  Values values(const std::string& role) const { return values_of(tensor(role)); }
  size_t axis(const std::string& role, size_t i) const { return size_t(tensor(role).shape.at(i)); }
  size_t taps(const std::string& core) const {
    return tensor(core).count / axis(core, 0) / axis(core, 1);
  }

  Product lora() const {
    const size_t rank = tensor("up").count / axis("up", 0);
    if (!has("mid")) return {values("up"), values("down"), rank};
    const Values right = expand(values("mid"), rank, values("down"), axis("down", 0), taps("mid"));
    return {values("up"), right, rank};
  }

  // [rows, r] * [r, width]; Tucker: a is [r, rows], b [r, in].
  Product pair(const std::string& a, const std::string& b, const std::string& core) const {
    if (!has(core)) return {values(a), values(b), axis(b, 0)};
    const size_t rank = axis(a, 0);
    const Values right = expand(values(core), rank, values(b), axis(b, 0), taps(core));
    return {transposed(values(a), rank), right, rank};
  }

  Values whole(const std::string& name) const {
    if (has(name)) return values(name);
    const std::string a = name + "_a", b = name + "_b", core = "t" + name.substr(1);
    if (!has(core)) return multiplied(values(a), values(b), axis(b, 0));
    const size_t rank = axis(a, 0);
    return multiplied(transposed(values(a), rank),
                      expand(values(core), rank, values(b), axis(b, 0), taps(core)), rank);
  }

 private:
  const AdapterTerm& term_;
};

class ProductDelta : public Delta {
 public:
  explicit ProductDelta(Product product) : product_(std::move(product)) {}
  void add(size_t first, size_t count, float scale, const float*, float* out) const override {
    product_.add(first, count, scale, out);
  }

 private:
  Product product_;
};

class HadamardDelta : public Delta {
 public:
  HadamardDelta(Product a, Product b) : a_(std::move(a)), b_(std::move(b)) {}
  void add(size_t first, size_t count, float scale, const float*, float* out) const override {
    Values a(count * a_.width()), b(a.size());
    a_.add(first, count, 1, a.data());
    b_.add(first, count, 1, b.data());
    for (size_t i = 0; i < a.size(); i++) out[i] += scale * a[i] * b[i];
  }

 private:
  Product a_, b_;
};

class KroneckerDelta : public Delta {
 public:
  // `rows`: of `second`.
  KroneckerDelta(Values first, size_t columns, Values second, size_t rows)
      : first_(std::move(first)), second_(std::move(second)), columns_(columns), rows_(rows) {}
  void add(size_t first, size_t count, float scale, const float*, float* out) const override {
    const size_t width = second_.size() / rows_;
    for (size_t row = first; row < first + count; row++) {
      const float* const outer = &first_[row / rows_ * columns_];
      const float* const inner = &second_[row % rows_ * width];
      for (size_t c = 0; c < columns_; c++, out += width) {
        const float factor = scale * outer[c];
        for (size_t i = 0; i < width; i++) out[i] += factor * inner[i];
      }
    }
  }

 private:
  Values first_, second_;
  size_t columns_, rows_;
};

class RescaleDelta : public Delta {
 public:
  RescaleDelta(Values factors, bool on_input, const SourceTensor& weight)
      : factors_(std::move(factors)),
        width_(width_of(weight)),
        taps_(on_input ? width_ / factors_.size() : 0) {}
  bool needs_base() const override { return true; }
  void add(size_t first, size_t count, float scale, const float* base, float* out) const override {
    for (size_t r = 0; r < count; r++)
      for (size_t i = 0; i < width_; i++) {
        const float factor = factors_[taps_ ? i / taps_ : first + r];
        out[r * width_ + i] += scale * factor * base[r * width_ + i];
      }
  }

 private:
  Values factors_;
  size_t width_, taps_;  // taps 0: a factor for each row
};

// Generalized LoRA (Chavan et al. 2023): the weight's own rows times a thin product, and another
// product beside it.
class GeneralizedDelta : public Delta {
 public:
  GeneralizedDelta(Product beside, Values a1, Values a2, const SourceTensor& weight)
      : beside_(std::move(beside)),
        a1_(std::move(a1)),
        a2_(std::move(a2)),
        width_(width_of(weight)),
        inputs_(weight.shape.size() > 1 ? size_t(weight.shape[1]) : 1) {}
  bool needs_base() const override { return true; }
  void add(size_t first, size_t count, float scale, const float* base, float* out) const override {
    beside_.add(first, count, scale, out);
    const size_t taps = width_ / inputs_, rank = a1_.size() / inputs_;
    Values inner(rank);
    for (size_t r = 0; r < count; r++)
      for (size_t t = 0; t < taps; t++) {
        const float* const from = base + r * width_ + t;
        float* const to = out + r * width_ + t;
        std::fill(inner.begin(), inner.end(), 0.0f);
        for (size_t i = 0; i < inputs_; i++)
          for (size_t k = 0; k < rank; k++) inner[k] += from[i * taps] * a1_[i * rank + k];
        for (size_t k = 0; k < rank; k++)
          for (size_t i = 0; i < inputs_; i++)
            to[i * taps] += scale * inner[k] * a2_[k * inputs_ + i];
      }
  }

 private:
  Product beside_;
  Values a1_, a2_;
  size_t width_, inputs_;
};

// Read row by row: nothing is gained by keeping it.
class FullDelta : public Delta {
 public:
  FullDelta(const SourceTensor& diff, size_t width) : diff_(diff), width_(width) {}
  void add(size_t first, size_t count, float scale, const float*, float* out) const override {
    const auto values = std::make_unique_for_overwrite<float[]>(count * width_);
    read_floats(diff_, first * width_, count * width_, values.get());
    for (size_t i = 0; i < count * width_; i++) out[i] += scale * values[i];
  }

 private:
  SourceTensor diff_;
  size_t width_;
};

}  // namespace

std::vector<float> values_of(const SourceTensor& tensor) {
  Values values(tensor.count);
  read_floats(tensor, 0, tensor.count, values.data());
  return values;
}

std::unique_ptr<Delta> read_delta(const AdapterTerm& term, const SourceTensor& weight) {
  const Factors factors(term);
  switch (term.kind) {
    case AdapterKind::lora:
      return std::make_unique<ProductDelta>(factors.lora());
    case AdapterKind::loha:
      return std::make_unique<HadamardDelta>(factors.pair("w1_a", "w1_b", "t1"),
                                             factors.pair("w2_a", "w2_b", "t2"));
    case AdapterKind::lokr: {
      const size_t out1 = factors.axis(factors.has("w1") ? "w1" : "w1_a", 0);
      Values first = factors.whole("w1");
      const size_t columns = first.size() / out1;
      return std::make_unique<KroneckerDelta>(std::move(first), columns, factors.whole("w2"),
                                              rows_of(weight) / out1);
    }
    case AdapterKind::ia3:
      return std::make_unique<RescaleDelta>(factors.values("weight"), term.on_input, weight);
    case AdapterKind::full:
      return std::make_unique<FullDelta>(factors.tensor("diff"), width_of(weight));
    case AdapterKind::glora:
      return std::make_unique<GeneralizedDelta>(factors.lora(), factors.values("w1_a"),
                                                factors.values("w1_b"), weight);
  }
  return nullptr;
}

}  // namespace deepcache

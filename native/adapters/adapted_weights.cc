#include "adapters/adapted_weights.h"

#include <algorithm>
#include <utility>

#include "runtime/error.h"

namespace deepcache {

// One weight with its terms.
class AdaptedWeights::Tensor : public ComputedTensor {
 public:
  Tensor(std::vector<AdapterTerm> terms, std::shared_ptr<WeightSource> source, std::string name)
      : terms_(std::move(terms)), source_(std::move(source)), name_(std::move(name)) {
    const SourceTensor& base = this->base();
    view_.type = Type::f32;
    view_.shape = base.shape;
    view_.count = base.count;
    view_.computed = this;
  }

  const SourceTensor& view() const { return view_; }
  std::vector<AdapterTerm> take_terms() { return std::move(terms_); }

  void release() {
    const std::lock_guard lock(mutex_);
    prepared_.reset();
  }

  void read(size_t offset, size_t count, float* out) const override {
    const size_t width = view_.count / size_t(view_.shape[0]);
    const size_t first = offset / width, rows = (offset + count + width - 1) / width - first;
    if (first * width == offset && rows * width == count) return read_rows(first, rows, out);
    std::vector<float> whole(rows * width);
    read_rows(first, rows, whole.data());
    std::copy_n(&whole[offset - first * width], count, out);
  }

 private:
  struct Scaled {
    std::unique_ptr<Delta> delta;
    float scale;
  };
  // What is needed until release().
  struct Prepared {
    const SourceTensor& base;
    std::vector<Scaled> deltas;
    bool needs_base = false;
  };

  const SourceTensor& base() const { return *source_->find(name_); }

  void read_rows(size_t first, size_t rows, float* out) const {
    const std::shared_ptr<const Prepared> prepared = this->prepared();
    const size_t width = view_.count / size_t(view_.shape[0]), count = rows * width;
    read_floats(prepared->base, first * width, count, out);
    std::vector<float> base;
    if (prepared->needs_base) base.assign(out, out + count);
    for (const Scaled& scaled : prepared->deltas)
      scaled.delta->add(first, rows, scaled.scale, base.data(), out);
  }

  // By the first that asks; the others need it as much, and wait.
  std::shared_ptr<const Prepared> prepared() const {
    const std::lock_guard lock(mutex_);
    if (prepared_) return prepared_;
    auto made = std::make_shared<Prepared>(Prepared{base(), {}});
    for (const AdapterTerm& term : terms_) {
      auto delta = with_magnitude(read_delta(term, made->base), term, made->base);
      const double factor = term.rule == MagnitudeRule::none ? term.factor : 1;
      made->needs_base |= delta->needs_base();
      made->deltas.push_back({std::move(delta), float(term.scale * factor)});
    }
    prepared_ = std::move(made);
    return prepared_;
  }

  std::vector<AdapterTerm> terms_;
  const std::shared_ptr<WeightSource> source_;
  const std::string name_;
  SourceTensor view_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const Prepared> prepared_;
};

AdaptedWeights::AdaptedWeights(std::shared_ptr<WeightSource> base) : base_(std::move(base)) {}

AdaptedWeights::~AdaptedWeights() = default;

AdapterTerms AdaptedWeights::exchange(AdapterTerms terms) {
  for (const auto& [name, list] : terms) {
    const SourceTensor* const weight = base_->find(name);
    if (!weight)
      throw Error(ErrorCode::kInvalidWeights,
                  "adapter: " + base_->description() + " has no weight \"" + name + "\"");
    for (const AdapterTerm& term : list) check_term(term, name, *weight);
  }
  std::map<std::string, std::unique_ptr<Tensor>> made;
  for (auto& [name, list] : terms)
    if (!list.empty()) made[name] = std::make_unique<Tensor>(std::move(list), base_, name);
  AdapterTerms before;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, list] : terms) {
    const auto old = adapted_.find(name);
    before[name] = old == adapted_.end() ? std::vector<AdapterTerm>() : old->second->take_terms();
    if (old != adapted_.end()) adapted_.erase(old);
  }
  adapted_.merge(made);
  return before;
}

const SourceTensor* AdaptedWeights::find(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = adapted_.find(name);
  return found == adapted_.end() ? base_->find(name) : &found->second->view();
}

void AdaptedWeights::release() {
  const std::lock_guard lock(mutex_);
  for (const auto& [name, tensor] : adapted_) tensor->release();
  base_->release();
}

}  // namespace deepcache

#include <algorithm>
#include <sstream>

#include "cuda/context.h"
#include "cuda/product.h"
#include "cuda/tuning.h"

namespace deepcache::cuda {
namespace {

// In a step a product's input lies in the L2 cache, where the op before it left it, but its weights
// come from memory. So every launch of a measurement has weights of its own, and none is in the
// cache when it begins.
class ColdWeights {
 public:
  ColdWeights(const MatmulArgs& args, const Context& context)
      : args_(args),
        // More than the L2 of any GPU has for a multiprocessor.
        flushed_(size_t(context.properties.multiprocessors) << 20) {
    size_t bytes = 0;
    for (int i = 0; i < args.segment_count; i++) bytes += bytes_of(i);
    constexpr size_t kMostBytes = size_t(256) << 20, kMostCopies = 10;
    count_ = std::clamp<size_t>(kMostBytes / bytes, 1, kMostCopies);
    memory_ = gpu::Memory(count_ * bytes);
    char* to = memory_.data();
    for (size_t copy = 0; copy < count_; copy++)
      for (int i = 0; i < args.segment_count; to += bytes_of(i++)) {
        gpu::copy(to, args.segments[i].weight, bytes_of(i), context.stream);
        weights_.push_back(to);
      }
    gpu::synchronize(context.stream);
    gpu::declare_constant(memory_.data());
  }

  size_t count() const { return count_; }
  // The product with one of the copies.
  MatmulArgs args(size_t copy) const {
    MatmulArgs a = args_;
    for (int i = 0; i < a.segment_count; i++)
      a.segments[i].weight = weights_[copy * a.segment_count + i];
    return a;
  }
  void flush(const Context& context) const {
    gpu::fill(flushed_.data(), 0, flushed_.bytes(), context.stream);
  }

 private:
  // Where TMA can read a copy behind another.
  size_t bytes_of(int segment) const {
    return gpu::aligned_size(size_t(args_.phases) * packed_rows(args_.columns) *
                             args_.segments[segment].weight_stride * (args_.fp8 ? 1 : 2));
  }

  const MatmulArgs args_;
  gpu::Memory memory_, flushed_;
  size_t count_ = 1;
  std::vector<const char*> weights_;  // of the first copy's segments, of the second's
};

// A choice, with each copy of the weights.
using Candidate = std::vector<Product>;

template <typename T>
void launch_all(const Candidate& candidate, const Context& context) {
  for (const Product& product : candidate)
    launch_product<T>(product, context.properties, context.stream);
}

double time_of(const Candidate& candidate, const Context& context) {
  gpu::Event begin, end;
  begin.record(context.stream);
  if (context.type == ActivationType::fp16)
    launch_all<Half>(candidate, context);
  else
    launch_all<Bfloat16>(candidate, context);
  end.record(context.stream);
  return end.seconds_since(begin);
}

// The fastest of the model's favourites. They take turns, so that a change of the GPU's clock meets
// all of them, and each one's best time counts. Writes go to memory of its own.
MatmulChoice measure(const MatmulArgs& args, const std::vector<MatmulChoice>& ranked,
                     const Context& context) {
  constexpr size_t kFavourites = 8;
  constexpr int kRounds = 3;
  const gpu::Memory y(size_t(args.samples) * args.y_h * args.y_w * args.y_channels *
                      (args.y.fp32 ? 4 : 2));
  // Codes and scales that an op has only while it runs.
  const MatmulSegment& first = args.segments[0];
  const gpu::Memory codes(
      args.fp8 ? size_t(args.samples) * first.in_h * first.in_w * first.channels[0] : 0);
  const gpu::Memory scales(args.fp8 ? size_t(args.rows) * sizeof(float) : 0);
  const ColdWeights weights(args, context);
  std::vector<Candidate> candidates(std::min(kFavourites, ranked.size()));
  size_t sums = 0;
  for (size_t i = 0; i < candidates.size(); i++)
    for (size_t copy = 0; copy < weights.count(); copy++) {
      MatmulArgs own = weights.args(copy);
      own.y.data = y.data();
      if (args.fp8) {
        own.segments[0].x[0] = own.segments[0].x[1] = {codes.data()};
        own.segments[0].input_scales = reinterpret_cast<const float*>(scales.data());
      }
      candidates[i].push_back(make_product(own, ranked[i], context.type));
      sums = std::max(sums, partial_count(candidates[i].back()));
    }
  const gpu::Memory partials(sums * sizeof(float));
  for (Candidate& candidate : candidates) {
    for (Product& product : candidate)
      product.args.partials = reinterpret_cast<float*>(partials.data());
    time_of(candidate, context);  // loads the code
  }
  std::vector<double> best(candidates.size(), 1e9);
  for (int round = 0; round < kRounds; round++)
    for (size_t i = 0; i < candidates.size(); i++) {
      weights.flush(context);
      best[i] = std::min(best[i], time_of(candidates[i], context));
    }
  return ranked[std::min_element(best.begin(), best.end()) - best.begin()];
}

}  // namespace

std::string tuning_key(const MatmulArgs& args) {
  std::ostringstream key;
  key << args.samples << 'x' << args.out_h << 'x' << args.out_w << 'x' << args.columns;
  if (args.phases > 1) key << ",phases";
  for (int i = 0; i < args.segment_count; i++) {
    const MatmulSegment& s = args.segments[i];
    key << ',' << s.kernel_h << 'x' << s.kernel_w << '/' << s.stride << ':' << s.channels[0] << '+'
        << s.channels[1];
    if (!s.in_async()) key << ",gathered";
    if (!s.mappable) key << ",moving";
  }
  key << ",act" << int(args.activation);
  if (args.has_row) key << ",row";
  if (args.has_residual) key << ",residual";
  if (!args.wide) key << ",apart";
  if (args.fp8) key << ",fp8";
  if (args.normed) key << ",normed";
  if (args.sums) key << ",sums";
  return key.str();
}

void Tuning::read(const std::string& text) {
  const std::lock_guard lock(mutex_);
  choices_.clear();
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string key, tile;
    MatmulChoice choice;
    if (words >> key >> tile >> choice.splits && parse_tile(tile, choice.tile))
      choices_[key] = choice;
  }
}

std::string Tuning::text() const {
  const std::lock_guard lock(mutex_);
  std::string text;
  for (const auto& [key, choice] : choices_)
    text += key + ' ' + name_of(choice.tile) + ' ' + std::to_string(choice.splits) + '\n';
  return text;
}

MatmulChoice Tuning::choose(const MatmulArgs& args, Context& context) {
  const std::vector<MatmulChoice> ranked = rank_choices(args, context.properties);
  const std::lock_guard lock(mutex_);
  const auto found = choices_.find(tuning_key(args));
  if (found != choices_.end() &&
      std::find(ranked.begin(), ranked.end(), found->second) != ranked.end())
    return found->second;
  if (!measures || ranked.size() == 1) return ranked.front();
  return choices_[tuning_key(args)] = measure(args, ranked, context);
}

}  // namespace deepcache::cuda

#include <algorithm>
#include <sstream>

#include "cuda/context.h"
#include "cuda/product.h"
#include "cuda/tuning.h"

namespace deepcache::cuda {
namespace {

template <typename T>
void launch_often(const Product& product, int times, const Context& context) {
  for (int i = 0; i < times; i++) launch_product<T>(product, context.properties, context.stream);
}

double time_of(const Product& product, int times, const Context& context) {
  gpu::Event begin, end;
  begin.record(context.stream);
  if (context.type == ActivationType::fp16)
    launch_often<Half>(product, times, context);
  else
    launch_often<Bfloat16>(product, times, context);
  end.record(context.stream);
  return end.seconds_since(begin);
}

// The fastest of the model's favourites. They take turns, so that a change of the GPU's clock meets
// all of them, and each one's best time counts. Writes go to memory of its own.
MatmulChoice measure(const MatmulArgs& args, const std::vector<MatmulChoice>& ranked,
                     const Context& context) {
  constexpr size_t kFavourites = 8;
  constexpr int kRounds = 3, kTimes = 10;
  const gpu::Memory y(size_t(args.samples) * args.y_h * args.y_w * args.y_channels *
                      (args.y.fp32 ? 4 : 2));
  std::vector<Product> products;
  size_t bytes = 0;
  for (size_t i = 0; i < std::min(kFavourites, ranked.size()); i++) {
    products.push_back(make_product(args, ranked[i], context.type));
    products[i].args.y.data = y.data();
    bytes = std::max(bytes, partial_bytes(products[i]));
  }
  const gpu::Memory partials(bytes);
  for (Product& product : products) {
    product.args.partials = reinterpret_cast<float*>(partials.data());
    time_of(product, 1, context);  // loads the code
  }
  std::vector<double> best(products.size(), 1e9);
  for (int round = 0; round < kRounds; round++)
    for (size_t i = 0; i < products.size(); i++)
      best[i] = std::min(best[i], time_of(products[i], kTimes, context));
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

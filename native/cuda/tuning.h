#pragma once

// Tiles and splits that were measured to be the fastest on a GPU, by product.

#include <atomic>
#include <map>
#include <mutex>
#include <string>

#include "cuda/tiles.h"

namespace deepcache::cuda {

struct Context;

// For any number of threads.
class Tuning {
 public:
  // Whether choose() measures products that the table lacks.
  std::atomic<bool> measures = false;

  // Replaces the table by the lines of a text(). Those that say nothing here (of another version,
  // or damaged) are left out: they cost a measurement, not an error.
  void read(const std::string& text);
  // A line for each product: its key, tile and splits.
  std::string text() const;

  // The table's choice, or a measured one, or the best by the model of the time.
  MatmulChoice choose(const MatmulArgs& args, Context& context);

 private:
  mutable std::mutex mutex_;  // programs may be made by several threads; they measure in turn
  std::map<std::string, MatmulChoice> choices_;
};

// What the time of a product depends on, in one word.
std::string tuning_key(const MatmulArgs& args);

}  // namespace deepcache::cuda

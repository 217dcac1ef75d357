#pragma once

// The table of op cases that every backend must compute: odd sizes, all options.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "reference.h"
#include "runtime/backend.h"

namespace deepcache::test {

// Records one op over external inputs with random values, and random weights.
class OpBuilder {
 public:
  explicit OpBuilder(unsigned seed) : seed_(seed) {}

  // Uniform in [-1, 1) * scale + offset.
  Tensor input(Shape shape, double scale = 1, double offset = 0);
  Tensor ids(Shape shape, int below);
  Tensor output(Shape shape);
  WeightId weight(Recipe recipe, int out, int in, int kernel_h = 1, int kernel_w = 1,
                  std::vector<int> parts = {}, Type type = Type::f32);
  WeightId vector(int count) { return weight(Recipe::vector, count, 1); }

  double random();

  Plan plan;
  std::map<int, std::vector<float>> inputs;  // by tensor id; ids as whole numbers
  std::shared_ptr<WeightSource> source();

 private:
  struct Stored {
    SourceTensor tensor;
    std::vector<char> bytes;
  };
  class Source;

  unsigned seed_;
  std::map<std::string, Stored> stored_;
};

struct OpCase {
  std::string name;
  std::function<Op(OpBuilder&)> record;
  double tolerance = 1e-6;  // of relative_error
};

// All cases; conv_cases() are a part of them.
const std::vector<OpCase>& op_cases();
std::vector<OpCase> conv_cases();

// Runs the case on a backend and on the reference. Returns what is wrong, empty when nothing is.
std::string check_case(const OpCase& test, Backend& backend);

}  // namespace deepcache::test

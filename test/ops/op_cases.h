#pragma once

// The op cases that every backend must compute: odd sizes, all options.

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
  // `staged`: the op reads and writes temporaries (of the backend's own type), copied from and to
  // the external ones, which are fp32.
  // `is_short`: values of matrices and inputs have so few bits that bf16 holds them, and those of
  // matrices sums of four.
  explicit OpBuilder(unsigned seed, bool staged = false, bool is_short = false)
      : staged_(staged), is_short_(is_short), seed_(seed) {}

  // Uniform in [-1, 1) * scale + offset.
  Tensor input(Shape shape, double scale = 1, double offset = 0);
  // Of 8 bits, exact in every type of activations; rows and samples differ in their largest
  // magnitude, and not by powers of two only.
  Tensor short_input(Shape shape);
  Tensor ids(Shape shape, int below);
  Tensor output(Shape shape);
  // After the op has been added: the tensor to compare.
  Tensor finish(const Op& op);
  WeightId weight(Recipe recipe, int out, int in, int kernel_h = 1, int kernel_w = 1,
                  std::vector<int> parts = {}, Type type = Type::f32, bool fp8 = false);
  WeightId vector(int count) { return weight(Recipe::vector, count, 1); }

  double random();

  Plan plan;
  std::map<int, std::vector<float>> inputs;  // by external tensor's id; ids as whole numbers
  std::shared_ptr<WeightSource> source();

 private:
  struct Stored {
    SourceTensor tensor;
    std::vector<char> bytes;
  };
  class Source;
  Tensor external_input(Shape shape, const std::function<float(size_t index)>& value);

  bool staged_, is_short_;
  unsigned seed_;
  std::map<std::string, Stored> stored_;
};

struct OpCase {
  std::string name;
  std::function<Op(OpBuilder&)> record;  // may add ops to the plan that come before
  double tolerance = 1e-6;               // of relative_error
};

// Of each op (ops/): its name is what theirs begin with.
#define DEEPCACHE_OP(Type, name) std::vector<OpCase> name##_cases();
DEEPCACHE_OPS(DEEPCACHE_OP)
#undef DEEPCACHE_OP

const std::vector<OpCase>& op_cases();  // all

struct CheckOptions {
  double tolerance = 0;                   // 0: the case's own
  bool staged = false, is_short = false;  // see OpBuilder
};

struct CaseResult {
  double error = 0, largest = 0;     // relative_error, largest_error
  std::string kernel;                // that served the op, where the backend tells
  std::vector<std::string> kernels;  // of all ops of the plan
  std::string problem;               // what is wrong, empty when nothing is
};

// Runs the case on a backend and on the reference.
CaseResult run_case(const OpCase& test, Backend& backend, const CheckOptions& options = {});
// The problem only.
std::string check_case(const OpCase& test, Backend& backend, const CheckOptions& options = {});

// An activation's values, of which cases have no infinite ones.
std::vector<float> gelu_of(Backend& backend, const std::vector<float>& values);

}  // namespace deepcache::test

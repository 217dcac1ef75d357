#include <algorithm>
#include <cmath>

#include "op_cases.h"

namespace deepcache::test {
namespace {

OpCase nearest_code_case(const std::string& name, Shape x, int codes) {
  return {"nearest_code_" + name, [=](OpBuilder& b) {
            NearestCode op;
            op.x = b.input(x);
            op.y = b.output(x);
            op.table = b.weight(Recipe::table, codes, x.c);
            return Op(op);
          }};
}

}  // namespace

void reference(const NearestCode& op, ReferenceState& state) {
  const auto &x = state.get(op.x), &table = state.parameter(op.table);
  auto& out = state.output(op.y);
  const size_t width = op.x.shape.c, codes = table.size() / width;
  for (size_t row = 0; row < op.x.shape.rows(); row++) {
    size_t best = 0;
    double least = INFINITY;
    for (size_t code = 0; code < codes; code++) {
      double distance = 0;
      for (size_t c = 0; c < width; c++)
        distance += std::pow(x[row * width + c] - table[code * width + c], 2);
      if (distance < least) {
        least = distance;
        best = code;
      }
    }
    std::copy_n(table.begin() + best * width, width, out.begin() + row * width);
  }
}

std::vector<OpCase> nearest_code_cases() {
  return {
      nearest_code_case("vq", {2, 9, 7, 3}, 50),
      nearest_code_case("many", {1, 1, 40, 4}, 4000),
      nearest_code_case("single", {1, 2, 2, 5}, 1),
  };
}

}  // namespace deepcache::test

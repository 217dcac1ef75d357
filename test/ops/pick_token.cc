#include "op_cases.h"

namespace deepcache::test {

void reference(const PickToken& op, ReferenceState& state) {
  const auto &x = state.get(op.x), &index = state.get(op.index);
  const size_t width = op.x.shape.c, length = op.x.shape.rows() / op.x.shape.n;
  auto& out = state.output(op.y);
  for (size_t i = 0; i < out.size(); i++)
    out[i] = x[(i / width * length + size_t(index[i / width])) * width + i % width];
}

std::vector<OpCase> pick_token_cases() {
  return {
      {"pick_token",
       [](OpBuilder& b) {
         PickToken op;
         op.x = b.input({3, 1, 10, 20});
         op.index = b.ids({3, 1, 1, 1}, 10);
         op.y = b.output({3, 1, 1, 20});
         return Op(op);
       }},
  };
}

}  // namespace deepcache::test

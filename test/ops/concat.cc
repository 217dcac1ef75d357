#include "op_cases.h"

namespace deepcache::test {

void reference(const Concat& op, ReferenceState& state) {
  state.output(op.y) = state.join(op.x, op.x2);
}

std::vector<OpCase> concat_cases() {
  return {
      {"concat",
       [](OpBuilder& b) {
         Concat op;
         op.x = b.input({2, 1, 50, 33});
         op.x2 = b.input({2, 1, 50, 7});
         op.y = b.output({2, 1, 50, 40});
         return Op(op);
       }},
  };
}

}  // namespace deepcache::test

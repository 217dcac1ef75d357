#include "op_cases.h"

namespace deepcache::test {

void reference(const Embedding& op, ReferenceState& state) {
  const auto &ids = state.get(op.ids), &table = state.parameter(op.table);
  const auto& positions = state.parameter(op.positions);
  const int width = op.y.shape.c;
  auto& out = state.output(op.y);
  for (size_t i = 0; i < out.size(); i++) {
    const size_t token = i / width, c = i % width;
    const size_t id = size_t(ids[token]), rows = table.size() / width;
    out[i] = id < rows ? table[id * width + c] : state.get(op.added)[(id - rows) * width + c];
    if (!positions.empty()) out[i] += positions[token % op.ids.shape.w * width + c];
  }
}

std::vector<OpCase> embedding_cases() {
  return {
      {"embedding",
       [](OpBuilder& b) {
         Embedding op;
         op.ids = b.ids({2, 1, 9, 1}, 50);
         op.y = b.output({2, 1, 9, 33});
         op.table = b.weight(Recipe::table, 50, 33);
         op.positions = b.weight(Recipe::table, 11, 33);
         return Op(op);
       }},
      {"embedding_without_positions",
       [](OpBuilder& b) {
         Embedding op;
         op.ids = b.ids({1, 1, 5, 1}, 7);
         op.y = b.output({1, 1, 5, 8});
         op.table = b.weight(Recipe::table, 7, 8);
         return Op(op);
       }},
      {"embedding_with_added_rows",
       [](OpBuilder& b) {
         Embedding op;
         op.ids = b.ids({2, 1, 13, 1}, 9);
         op.y = b.output({2, 1, 13, 33});
         op.table = b.weight(Recipe::table, 5, 33);
         op.positions = b.weight(Recipe::table, 13, 33);
         op.added = b.input({4, 1, 1, 33});
         return Op(op);
       }},
      {"embedding_of_a_vector",  // CLIP's class token
       [](OpBuilder& b) {
         Embedding op;
         op.ids = b.ids({2, 1, 1, 1}, 1);
         op.y = b.output({2, 1, 1, 24});
         op.table = b.vector(24);
         return Op(op);
       }},
  };
}

}  // namespace deepcache::test

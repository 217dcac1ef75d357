#include "folds.h"

#include <algorithm>

namespace deepcache::test {
namespace {

Tensor add_norm(OpBuilder& b, const Tensor& x) {
  LayerNorm norm;
  norm.x = x;
  norm.y = b.plan.temporary(x.shape);
  norm.gamma = b.vector(x.shape.c);
  norm.beta = b.vector(x.shape.c);
  b.plan.add(norm);
  return norm.y;
}

Tensor add_writer(OpBuilder& b, const FoldCase& c) {
  if (!c.in) return b.input(c.x, c.scale, c.offset);
  Conv writer;
  writer.x = b.input({c.x.n, c.x.h, c.x.w, c.in});
  if (c.residual) writer.residual = b.input(c.x, c.scale, c.offset);
  writer.y = b.plan.temporary(c.x);
  writer.weight = b.weight(Recipe::matrix, c.x.c, c.in);
  writer.bias = b.vector(c.x.c);
  b.plan.add(writer);
  return writer.y;
}

void add_other(OpBuilder& b, const FoldCase& c) {
  Conv other;
  other.x = add_norm(b, b.input(c.x));
  other.y = b.plan.temporary({c.x.n, c.x.h, c.x.w, c.out});
  other.weight = b.weight(Recipe::matrix, c.out, c.x.c);
  b.plan.add(other);
}

}  // namespace

OpCase fold_case(const std::string& name, const FoldCase& c) {
  return {"conv_folded_" + name,
          [=](OpBuilder& b) {
            const Tensor x = add_writer(b, c);
            if (c.between) add_other(b, c);
            Conv op;
            op.x = add_norm(b, x);
            if (c.three)
              op.weight = b.weight(Recipe::matrix, 3 * c.out, c.x.c, 1, 1, {c.out, c.out, c.out});
            else
              op.weight = b.weight(c.geglu ? Recipe::geglu : Recipe::matrix,
                                   c.geglu ? 2 * c.out : c.out, c.x.c);
            if (c.bias) op.bias = b.vector(c.geglu ? 2 * c.out : c.three ? 3 * c.out : c.out);
            if (c.geglu) op.activation = Activation::geglu;
            op.y = b.output({c.x.n, c.x.h, c.x.w, c.three ? 3 * c.out : c.out});
            return Op(op);
          },
          std::max(1.0, c.offset / 10) * 1e-6};
}

std::vector<OpCase> fold_cases() {
  return {
      fold_case("plain", {.x = {2, 9, 7, 64}, .out = 96, .residual = false}),
      fold_case("residual", {.x = {2, 5, 13, 320}, .out = 320, .bias = false}),
      fold_case("three", {.x = {1, 9, 15, 192}, .out = 192, .bias = false, .three = true}),
      fold_case("geglu", {.x = {1, 5, 19, 128}, .out = 168, .geglu = true}),
      fold_case("odd", {.x = {1, 3, 11, 40}, .out = 24}),
      fold_case("long_k", {.x = {1, 2, 9, 1280}, .out = 64}),
      fold_case("split_writer", {.x = {1, 3, 7, 128}, .out = 64, .in = 1280}),
      fold_case("alone", {.x = {1, 5, 27, 72}, .out = 88, .in = 0}),
      fold_case("between", {.x = {1, 5, 9, 128}, .out = 72, .between = true}),
      fold_case("large_values", {.x = {1, 4, 21, 320}, .out = 64, .scale = 6e4}),
      fold_case("small_values", {.x = {1, 4, 21, 320}, .out = 64, .in = 0, .scale = 1e-3}),
      fold_case("equal_values",
                {.x = {1, 4, 21, 320}, .out = 64, .in = 0, .scale = 0, .offset = 3}),
      fold_case("equal_large_values",
                {.x = {1, 4, 21, 320}, .out = 64, .in = 0, .scale = 0, .offset = 1000}),
      fold_case("far_from_zero", {.x = {1, 4, 21, 320}, .out = 64, .offset = 10}),
      fold_case("very_far_from_zero", {.x = {1, 4, 21, 320}, .out = 64, .offset = 100}),
  };
}

}  // namespace deepcache::test

#pragma once

// The op set of plans: general and small. ops/common.h says what an op is; docs/extending.md how to
// add one.

#include <cstdlib>
#include <type_traits>

#include "ops/attention.h"
#include "ops/attention_mass.h"
#include "ops/concat.h"
#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/free_u.h"
#include "ops/group_norm.h"
#include "ops/layer_norm.h"
#include "ops/masked_blur.h"
#include "ops/nearest_code.h"
#include "ops/pick_token.h"
#include "ops/pool.h"
#include "ops/resample.h"
#include "ops/timestep_embedding.h"
#include "ops/window.h"

// The list of all ops. Whatever is done op by op (backends, tests) is declared by this list: an op
// without its part there does not link.
#define DEEPCACHE_OPS(OP)                   \
  OP(Conv, conv)                            \
  OP(GroupNorm, group_norm)                 \
  OP(LayerNorm, layer_norm)                 \
  OP(Attention, attention)                  \
  OP(Elementwise, elementwise)              \
  OP(Embedding, embedding)                  \
  OP(TimestepEmbedding, timestep_embedding) \
  OP(PickToken, pick_token)                 \
  OP(Concat, concat)                        \
  OP(Resample, resample)                    \
  OP(NearestCode, nearest_code)             \
  OP(Pool, pool)                            \
  OP(Window, window)                        \
  OP(FreeU, free_u)                         \
  OP(AttentionMass, attention_mass)         \
  OP(MaskedBlur, masked_blur)

namespace deepcache {

#define DEEPCACHE_OP(Type, name) name,
enum class OpKind : uint8_t { DEEPCACHE_OPS(DEEPCACHE_OP) };
#undef DEEPCACHE_OP

struct Op {
  OpKind kind;
#define DEEPCACHE_OP(Type, name) Type name;
  union {
    DEEPCACHE_OPS(DEEPCACHE_OP)
  };
#undef DEEPCACHE_OP

#define DEEPCACHE_OP(Type, name) \
  Op(const Type& op) : kind(OpKind::name), name(op) {}
  DEEPCACHE_OPS(DEEPCACHE_OP)
#undef DEEPCACHE_OP

  // What `call` returns for the op, as its own type.
  template <typename Call>
  decltype(auto) visit(const Call& call) const {
    switch (kind) {
#define DEEPCACHE_OP(Type, name) \
  case OpKind::name:             \
    return call(name);
      DEEPCACHE_OPS(DEEPCACHE_OP)
#undef DEEPCACHE_OP
    }
    std::abort();  // no other kind can be made
  }

  const char* name() const {
    return visit([](const auto& op) { return op.kName; });
  }
  // The tensor that the op writes.
  const Tensor& output() const {
    return visit([](const auto& op) -> const Tensor& { return op.y; });
  }
  // Calls `read(const Tensor&)` for every tensor that the op reads.
  template <typename Read>
  void inputs(const Read& read) const {
    visit([&](const auto& op) { op.inputs(read); });
  }
  // Calls `read(const WeightId&)` for every parameter that the op has.
  template <typename Read>
  void weights(const Read& read) const {
    visit([&](const auto& op) {
      op.weights([&](const WeightId& id) {
        if (id >= 0) read(id);
      });
    });
  }
  // Multiply-accumulates that executing it takes.
  double macs(const WeightSpecs& specs) const {
    return visit([&](const auto& op) -> double {
      if constexpr (requires { op.macs(specs); })
        return op.macs(specs);
      else
        return 0;
    });
  }
};

static_assert(std::is_trivially_copyable_v<Op>);

}  // namespace deepcache

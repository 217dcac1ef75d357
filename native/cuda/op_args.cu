#include "cuda/op_args.h"

namespace deepcache::cuda {

GroupNormArgs group_norm_args(const GroupNorm& op, const Operands& operands,
                              const gpu::Properties& gpu) {
  GroupNormArgs a;
  operands.view(op.x, op.x2, a.x, a.channels);
  a.y = operands.view(op.y);
  a.samples = op.y.shape.n;
  a.rows = int(op.y.shape.rows() / op.y.shape.n);
  a.groups = op.groups;
  a.gamma = operands.vector(op.gamma);
  a.beta = operands.vector(op.beta);
  a.epsilon = op.epsilon;
  a.silu = op.silu;
  a.eights = a.channels[0] % 8 == 0 && a.channels[1] % 8 == 0 && aligned(a.x[0]) &&
             aligned(a.x[1]) && aligned(a.y);
  plan_group_norm(a, gpu);
  return a;
}

LayerNormArgs layer_norm_args(const LayerNorm& op, const Operands& operands) {
  LayerNormArgs a;
  a.x = operands.view(op.x);
  a.y = operands.view(op.y);
  a.rows = int(op.x.shape.rows());
  a.channels = op.x.shape.c;
  a.gamma = operands.vector(op.gamma);
  a.beta = operands.vector(op.beta);
  a.epsilon = op.epsilon;
  a.eights = a.channels % 8 == 0 && aligned(a.x) && aligned(a.y);
  return a;
}

AttentionArgs attention_args(const Attention& op, const Operands& operands,
                             const gpu::Properties& gpu) {
  AttentionArgs a;
  const auto rows = [&](const Tensor& tensor, const Sequence& s, int offset) {
    const long long width = tensor.shape.c;
    AttentionRows r;
    r.view = operands.view(tensor);
    r.outer = s.outer_stride * width;
    r.inner = s.inner_stride * width;
    r.step = s.step * width;
    r.offset = offset;
    r.eights = width % 8 == 0 && offset % 8 == 0 && op.head_width % 8 == 0 && aligned(r.view);
    return r;
  };
  a.q = rows(op.q, op.query, op.q_offset);
  a.k = rows(op.k, op.key, op.k_offset);
  a.v = rows(op.v, op.key, op.v_offset);
  a.y = rows(op.y, op.query, 0);
  a.queries = op.query.length;
  a.keys = op.key.length;
  a.outer = op.outer;
  a.inner = op.inner;
  a.heads = op.heads;
  a.head_width = op.head_width;
  a.scale = op.scale;
  a.causal = op.causal;
  a.sm90 = gpu.hopper && can_attend_sm90(a);
  return a;
}

ElementwiseArgs elementwise_args(const Elementwise& op, const Operands& operands) {
  ElementwiseArgs a;
  a.y = operands.view(op.y);
  a.x = operands.view(op.x);
  a.count = op.x.shape.count();
  a.width = op.x.shape.c;
  if (op.x2) {
    a.has_x2 = true;
    a.x2 = operands.view(op.x2);
    a.repeat = op.repeat;
    a.rows2 = op.x2.shape.rows();
  }
  a.a = op.a;
  a.b = op.b;
  a.activation = op.activation;
  return a;
}

EmbeddingArgs embedding_args(const Embedding& op, const Operands& operands, int* fault) {
  EmbeddingArgs a;
  a.y = operands.view(op.y);
  a.ids = operands.ints(op.ids);
  const WeightPlace& table = operands.weights[op.table];
  const bool vector = table.recipe == Recipe::vector;
  a.table = {const_cast<void*>(table.data), vector};
  if (op.positions >= 0) a.positions = operands.weights[op.positions].data;
  a.count = int(op.ids.shape.count());
  a.length = op.ids.shape.w;
  a.width = op.y.shape.c;
  a.vocabulary = vector ? 1 : table.out;
  a.fault = fault;
  return a;
}

TimestepArgs timestep_args(const TimestepEmbedding& op, const Operands& operands) {
  return {operands.view(op.y), operands.view(op.x), int(op.x.shape.count()), op.dim,
          op.flip_sin_to_cos,  op.freq_shift};
}

PickTokenArgs pick_token_args(const PickToken& op, const Operands& operands, int* fault) {
  PickTokenArgs a;
  a.y = operands.view(op.y);
  a.x = operands.view(op.x);
  a.index = operands.ints(op.index);
  a.samples = op.x.shape.n;
  a.length = int(op.x.shape.rows() / op.x.shape.n);
  a.width = op.x.shape.c;
  a.fault = fault;
  return a;
}

ResampleArgs resample_args(const Resample& op, const Operands& operands) {
  const Shape &x = op.x.shape, &y = op.y.shape;
  return {operands.view(op.y), operands.view(op.x), x.n, x.h, x.w, y.h, y.w, x.c};
}

NearestCodeArgs nearest_code_args(const NearestCode& op, const Operands& operands) {
  const WeightPlace& table = operands.weights[op.table];
  return {operands.view(op.y),    operands.view(op.x), table.data,
          int(op.x.shape.rows()), table.out,           op.x.shape.c};
}

ConcatArgs concat_args(const Concat& op, const Operands& operands) {
  ConcatArgs a;
  a.y = operands.view(op.y);
  operands.view(op.x, op.x2, a.x, a.channels);
  a.rows = op.x.shape.rows();
  return a;
}

}  // namespace deepcache::cuda

// y[i] = table[ids[i]] + positions[i % length]; ids i32, tables of type T. Ids from `vocabulary` on
// are rows of `added`.
//
// Shapes: any. An id outside of both reads row 0 and sets *fault, which the host turns into an
// error when it synchronises: a kernel cannot throw, and nothing outside may be read.
//
// Why it is fast enough: it runs once per prompt; one thread per value, neighbours on neighbours,
// is all it needs.

#include "cuda/op.h"

namespace deepcache::cuda {
namespace {

constexpr int kThreads = 256;

// Tables hold values of type T.
struct EmbeddingArgs {
  View y;
  const int32_t* ids = nullptr;
  View table;  // fp32 where the one row is a vector of the model
  View added;
  const void* positions = nullptr;
  int count = 0, length = 1, width = 0, vocabulary = 0, added_rows = 0;
  int* fault = nullptr;  // gets kBadToken when an id is outside of all rows
};

template <typename T>
__global__ void __launch_bounds__(kThreads)
    embedding_kernel(const __grid_constant__ EmbeddingArgs args) {
  follow_previous_grid();
  const size_t count = size_t(args.count) * args.width;
  const T* const positions = static_cast<const T*>(args.positions);
  for (size_t i = size_t(blockIdx.x) * kThreads + threadIdx.x; i < count;
       i += size_t(gridDim.x) * kThreads) {
    const int token = int(i / args.width), c = int(i % args.width);
    int id = args.ids[token];
    if (unsigned(id) >= unsigned(args.vocabulary + args.added_rows)) {
      atomicMax(args.fault, kBadToken);
      id = 0;
    }
    const bool is_added = id >= args.vocabulary;
    const View& rows = is_added ? args.added : args.table;
    float v = load<T>(rows, size_t(is_added ? id - args.vocabulary : id) * args.width + c);
    if (positions) v += Number<T>::widen(positions[size_t(token % args.length) * args.width + c]);
    store<T>(args.y, i, v);
  }
}

template <typename T>
void launch_embedding(const EmbeddingArgs& args, Stream stream) {
  gpu::launch(embedding_kernel<T>, dim3(blocks_for(size_t(args.count) * args.width, kThreads)),
              dim3(kThreads), 0, stream, args);
}

EmbeddingArgs embedding_args(const Embedding& op, const OpContext& context) {
  EmbeddingArgs a;
  a.y = context.operands.view(op.y);
  a.ids = context.operands.ints(op.ids);
  const WeightPlace& table = context.operands.weights[op.table];
  const bool vector = table.recipe == Recipe::vector;
  a.table = {const_cast<void*>(table.data), vector};
  if (op.positions >= 0) a.positions = context.operands.weights[op.positions].data;
  a.count = int(op.ids.shape.count());
  a.length = op.ids.shape.w;
  a.width = op.y.shape.c;
  a.vocabulary = vector ? 1 : table.out;
  if (op.added) {
    a.added = context.operands.view(op.added);
    a.added_rows = int(op.added.shape.rows());
  }
  a.fault = context.fault();
  return a;
}

}  // namespace

std::unique_ptr<DeviceOp> make_op(const Embedding& op, const OpContext& context) {
  return make_kernel_op(context, embedding_args(op, context), launch_embedding<Half>,
                        launch_embedding<Bfloat16>, "embedding");
}

}  // namespace deepcache::cuda

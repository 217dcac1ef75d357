// Attention some of whose sequences attend to themselves alone (perturbed-attention guidance): the
// others are attention.cu's, and of these y = v.
//
// Shapes: any; where heads begin at 16 bytes, accesses are of 16 bytes. A copy of rows, which takes
// what it moves.

#include "cuda/kernels/attention.h"
#include "cuda/op.h"

namespace deepcache::cuda {
namespace {

constexpr int kThreads = 256;

struct IdentityArgs {
  AttentionRows v, y;
  int first = 0, outer = 0;  // sequences [first, outer)
  int inner = 1, length = 0, width = 0;
};

template <typename T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    attention_identity_kernel(const __grid_constant__ IdentityArgs args) {
  follow_previous_grid();
  const int columns = args.width / kWidth;
  const size_t count = size_t(args.outer - args.first) * args.inner * args.length * columns;
  for (size_t i = size_t(blockIdx.x) * kThreads + threadIdx.x; i < count;
       i += size_t(gridDim.x) * kThreads) {
    size_t row = i / columns;
    const int channel = int(i - row * columns) * kWidth;
    const int element = int(row % args.length);
    row /= args.length;
    const long long inner = (long long)(row % args.inner);
    const long long outer = args.first + (long long)(row / args.inner);
    const auto at = [&](const AttentionRows& rows) {
      return size_t(outer * rows.outer + inner * rows.inner + element * rows.step + rows.offset +
                    channel);
    };
    if constexpr (kWidth == 8) {
      float v[8];
      load_eight_floats<T>(args.v.view, at(args.v), v);
      store_eight_floats<T>(args.y.view, at(args.y), v);
    } else {
      store<T>(args.y.view, at(args.y), load<T>(args.v.view, at(args.v)));
    }
  }
}

template <typename T, int kWidth>
void launch_identity(const IdentityArgs& args, Stream stream) {
  const size_t rows = size_t(args.outer - args.first) * args.inner * args.length;
  gpu::launch(attention_identity_kernel<T, kWidth>,
              dim3(blocks_for(rows * (args.width / kWidth), kThreads)), dim3(kThreads), 0, stream,
              args);
}

// The attention of the other sequences, if there are such, and the copy.
class WithIdentities : public DeviceOp {
 public:
  WithIdentities(std::unique_ptr<DeviceOp> others, std::unique_ptr<DeviceOp> copy)
      : others_(std::move(others)), copy_(std::move(copy)) {}
  void launch(Stream stream) const override {
    if (others_) others_->launch(stream);
    copy_->launch(stream);
  }
  std::string kernel() const override {
    return others_ ? others_->kernel() + ", " + copy_->kernel() : copy_->kernel();
  }
  size_t workspace_bytes() const override { return others_ ? others_->workspace_bytes() : 0; }
  void use_workspace(void* memory) override {
    if (others_) others_->use_workspace(memory);
  }

 private:
  std::unique_ptr<DeviceOp> others_, copy_;
};

// Of the sequences that are no identities.
AttentionArgs attention_args(const Attention& op, const OpContext& context) {
  AttentionArgs a;
  const auto rows = [&](const Tensor& tensor, const Sequence& s, int offset) {
    const long long width = tensor.shape.c;
    AttentionRows r;
    r.view = context.operands.view(tensor);
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
  a.outer = op.outer - op.identities;
  a.inner = op.inner;
  a.heads = op.heads;
  a.head_width = op.head_width;
  a.scale = op.scale;
  a.causal = op.causal;
  a.sm90 = context.gpu.properties.hopper && can_attend_sm90(a);
  a.blocks = context.gpu.properties.most_blocks();
  a.odd_transposed_v = context.gpu.properties.odd_transposed_v;
  return a;
}

}  // namespace

std::unique_ptr<DeviceOp> make_op(const Attention& op, const OpContext& context) {
  const AttentionArgs args = attention_args(op, context);
  if (op.identities == 0) return make_attention(args, context);
  IdentityArgs a;
  a.v = args.v;
  a.y = args.y;
  a.first = args.outer;
  a.outer = op.outer;
  a.inner = op.inner;
  a.length = op.query.length;
  a.width = op.heads * op.head_width;
  std::unique_ptr<DeviceOp> copy =
      a.v.eights && a.y.eights ? make_kernel_op(context, a, launch_identity<Half, 8>,
                                                launch_identity<Bfloat16, 8>, "identity, by eights")
                               : make_kernel_op(context, a, launch_identity<Half, 1>,
                                                launch_identity<Bfloat16, 1>, "identity");
  return std::make_unique<WithIdentities>(args.outer ? make_attention(args, context) : nullptr,
                                          std::move(copy));
}

}  // namespace deepcache::cuda

// Convolutions of few channels (matmul.h), the first layer of a U-Net and of an autoencoder, whose
// 3 to 9 channels, often in fp32, no bulk copy can fetch: the kernel would gather values one by
// one, for each tap anew.
//
// Shapes: several taps, one input of up to 16 channels that are not eights of type T. The input and
// the weight are rewritten first, with channels padded with zeros to a multiple of 8; the product
// is then one of matmul_sm80.cu's, on Hopper too: TMA would bring a stage of 64 values of k for
// every tap, of which 8 are used.
//
// Why it is fast: an input of 4 channels is read once instead of nine times, and the weight is a
// few thousand values. It is rewritten every time, which takes no time beside the input, and so
// follows whatever becomes of the original.

#include "cuda/conv.h"
#include "cuda/op.h"
#include "cuda/product.h"
#include "cuda/workspace.h"

namespace deepcache::cuda {
namespace {

constexpr int kThreads = 256, kMostChannels = 16;

struct PadArgs {
  View x;
  const void* weight = nullptr;  // T
  void *padded_x = nullptr, *padded_weight = nullptr;
  int channels = 0, padded_channels = 0, taps = 0;
  int pixels = 0, weight_rows = 0, weight_stride = 0;
};

// Each thread writes 8 channels of a pixel, or of a tap's row of the weight.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    pad_channels_kernel(const __grid_constant__ PadArgs args) {
  follow_previous_grid();
  const int parts = args.padded_channels / 8, rows = args.pixels + args.weight_rows * args.taps;
  for (int item = int(blockIdx.x * blockDim.x + threadIdx.x); item < rows * parts;
       item += int(gridDim.x * blockDim.x)) {
    const int row = item / parts, channel = item % parts * 8, of_weight = row - args.pixels;
    const bool is_pixel = of_weight < 0;
    const View from{is_pixel ? args.x.data : const_cast<void*>(args.weight),
                    is_pixel && args.x.fp32};
    const size_t at = is_pixel ? size_t(row) * args.channels
                               : size_t(of_weight / args.taps) * args.weight_stride +
                                     of_weight % args.taps * args.channels;
    float v[8];
#pragma unroll
    for (int i = 0; i < 8; i++)
      v[i] = channel + i < args.channels ? load<T>(from, at + channel + i) : 0.0f;
    const View to{is_pixel ? args.padded_x : args.padded_weight, false};
    store_eight_floats<T>(to, size_t(is_pixel ? row : of_weight) * args.padded_channels + channel,
                          v);
  }
}

template <typename T>
void launch_pad(const PadArgs& args, Stream stream) {
  const size_t items =
      (size_t(args.pixels) + size_t(args.weight_rows) * args.taps) * (args.padded_channels / 8);
  gpu::launch(pad_channels_kernel<T>, dim3(blocks_for(items, kThreads)), dim3(kThreads), 0, stream,
              args);
}

bool has_few_channels(const MatmulArgs& args) {
  const MatmulSegment& s = args.segments[0];
  return args.segment_count == 1 && args.phases == 1 && s.kernel_h * s.kernel_w > 1 &&
         s.shift == 0 && s.channels[1] == 0 && s.channels[0] <= kMostChannels && !s.in_async();
}

class FewChannelsOp : public DeviceOp {
 public:
  FewChannelsOp(const MatmulArgs& args, const OpContext& context)
      : type_(context.gpu.type),
        gpu_(context.gpu.properties),
        launch_pad_(context.choose(launch_pad<Half>, launch_pad<Bfloat16>)),
        launch_product_(context.choose(launch_product<Half>, launch_product<Bfloat16>)) {
    MatmulArgs padded = args;
    MatmulSegment& s = padded.segments[0];
    pad_.x = s.x[0];
    pad_.weight = s.weight;
    pad_.channels = s.channels[0];
    pad_.padded_channels = (s.channels[0] + 7) / 8 * 8;
    pad_.taps = s.kernel_h * s.kernel_w;
    pad_.pixels = args.samples * s.in_h * s.in_w;
    pad_.weight_rows = packed_rows(args.columns);
    pad_.weight_stride = s.weight_stride;
    s.channels[0] = pad_.padded_channels;
    s.k = s.weight_stride = pad_.taps * pad_.padded_channels;
    s.eights = true;
    s.x[0] = s.x[1] = {};
    padded.computed_weights = true;
    choice_ = rank_choices(padded, gpu_).front();
    product_ = plan_product(padded, choice_);
    padded_x_ = layout_.add<uint16_t>(size_t(pad_.pixels) * pad_.padded_channels);
    padded_weight_ =
        layout_.add<uint16_t>(size_t(pad_.weight_rows) * pad_.taps * pad_.padded_channels);
    partials_ = layout_.add<float>(partial_count(product_));
  }

  std::string kernel() const override { return describe(product_) + ", padded channels"; }
  size_t workspace_bytes() const override { return layout_.bytes(); }

  void use_workspace(void* data) override {
    MatmulArgs args = product_.args;
    MatmulSegment& s = args.segments[0];
    s.x[0].data = s.x[1].data = pad_.padded_x = padded_x_.in(data);
    s.weight = pad_.padded_weight = padded_weight_.in(data);
    args.partials = partials_.in(data);
    product_ = make_product(args, choice_, type_);
  }

  void launch(Stream stream) const override {
    launch_pad_(pad_, stream);
    launch_product_(product_, gpu_, stream);
  }

 private:
  const ActivationType type_;
  const gpu::Properties& gpu_;
  void (*const launch_pad_)(const PadArgs&, Stream);
  void (*const launch_product_)(const Product&, const gpu::Properties&, Stream);
  PadArgs pad_;
  MatmulChoice choice_;
  Product product_;
  WorkspaceLayout layout_;
  WorkspacePart<uint16_t> padded_x_, padded_weight_;
  WorkspacePart<float> partials_;
};

}  // namespace

std::unique_ptr<DeviceOp> make_few_channels(const MatmulArgs& args, const OpContext& context) {
  if (!has_few_channels(args)) return nullptr;
  return std::make_unique<FewChannelsOp>(args, context);
}

}  // namespace deepcache::cuda

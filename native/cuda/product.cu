#include "cuda/op.h"
#include "cuda/product.h"

namespace deepcache::cuda {

Product make_product(const MatmulArgs& args, const MatmulChoice& choice, ActivationType type) {
  Product product;
  product.args = args;
  product.args.splits = choice.splits;
  product.tile = choice.tile;
  if (is_sm90(choice.tile)) {
    product.boxes = choose_boxes(args, matmul_tile_info(choice.tile).rows);
    map_inputs(args, choice.tile,
               type == ActivationType::fp16 ? gpu::MapType::half : gpu::MapType::bfloat16,
               product.boxes);
  }
  return product;
}

size_t partial_bytes(const Product& product) {
  const MatmulArgs& args = product.args;
  if (!product.apart()) return 0;
  return size_t(args.splits) * args.phases * args.rows * args.columns * sizeof(float);
}

template <typename T>
void launch_sums(const Product& product, const gpu::Properties& gpu, Stream stream) {
  if (is_sm90(product.tile))
    launch_matmul_sm90<T>(product.args, product.boxes, product.tile, gpu.multiprocessors, stream);
  else if (product.tile == MatmulTile::narrow_64x8)
    launch_matmul_narrow<T>(product.args, stream);
  else
    launch_matmul_sm80<T>(product.args, product.tile, stream);
}

template <typename T>
void launch_product(const Product& product, const gpu::Properties& gpu, Stream stream) {
  launch_sums<T>(product, gpu, stream);
  if (product.apart()) launch_finish<T>(product.args, stream);
}

template void launch_sums<Half>(const Product&, const gpu::Properties&, Stream);
template void launch_sums<Bfloat16>(const Product&, const gpu::Properties&, Stream);
template void launch_product<Half>(const Product&, const gpu::Properties&, Stream);
template void launch_product<Bfloat16>(const Product&, const gpu::Properties&, Stream);

std::string describe(const Product& product) {
  const MatmulArgs& a = product.args;
  const MatmulTileInfo tile = matmul_tile_info(product.tile);
  std::string text = is_sm90(product.tile) ? "matmul sm_90a " : "matmul ";
  text += std::to_string(tile.rows) + "x" + std::to_string(tile.columns);
  if (a.phases > 1) text += ", " + std::to_string(a.phases) + " phases";
  if (a.segment_count > 1) text += ", with its shortcut";
  if (a.splits > 1) text += ", k split in " + std::to_string(a.splits);
  if (a.splits == 1 && product.apart()) text += ", finished apart";
  if (is_sm90(product.tile)) return text;
  bool async = true;
  for (int i = 0; i < a.segment_count; i++) async &= a.segments[i].in_async();
  return text + (async ? ", async copies" : ", gathered");
}

namespace {

class ConvOp : public DeviceOp {
 public:
  ConvOp(Product product, const OpContext& context)
      : product_(std::move(product)),
        properties_(context.gpu.properties),
        launch_(context.choose(launch_product<Half>, launch_product<Bfloat16>)) {}

  void launch(Stream stream) const override { launch_(product_, properties_, stream); }
  std::string kernel() const override { return describe(product_); }
  size_t workspace_bytes() const override { return partial_bytes(product_); }
  void use_workspace(void* data) override { product_.args.partials = static_cast<float*>(data); }

 protected:
  Product product_;

 private:
  const gpu::Properties& properties_;
  void (*launch_)(const Product&, const gpu::Properties&, Stream);
};

// A product of e4m3, whose input becomes codes before it.
class Fp8ConvOp : public ConvOp {
 public:
  Fp8ConvOp(Product product, const RoundArgs& round, const OpContext& context)
      : ConvOp(std::move(product), context), round_(round) {}

  void launch(Stream stream) const override {
    launch_round_input<Half>(round_, stream);
    ConvOp::launch(stream);
  }
  std::string kernel() const override { return ConvOp::kernel() + ", e4m3"; }
  size_t workspace_bytes() const override {
    return codes_at() + gpu::aligned_size(round_.count * size_t(round_.scales)) +
           gpu::aligned_size(size_t(round_.scales) * sizeof(float)) +
           (round_.rows ? 0 : size_t(round_.scales) * kRoundParts * sizeof(float));
  }
  void use_workspace(void* data) override {
    ConvOp::use_workspace(data);
    char* const codes = static_cast<char*>(data) + codes_at();
    char* const scales = codes + gpu::aligned_size(round_.count * size_t(round_.scales));
    round_.codes = reinterpret_cast<uint8_t*>(codes);
    round_.to_scales = reinterpret_cast<float*>(scales);
    round_.largest =
        reinterpret_cast<float*>(scales + gpu::aligned_size(size_t(round_.scales) * sizeof(float)));
    MatmulSegment& segment = product_.args.segments[0];
    segment.x[0] = segment.x[1] = {codes};
    segment.input_scales = round_.to_scales;
  }

 private:
  size_t codes_at() const { return gpu::aligned_size(ConvOp::workspace_bytes()); }

  RoundArgs round_;
};

}  // namespace

std::unique_ptr<DeviceOp> make_op(const Conv& op, const OpContext& context) {
  const MatmulArgs args = matmul_args(op, context.shortcut(op), context.operands);
  if (auto padded = make_few_channels(args, context)) return padded;
  const MatmulChoice choice = context.gpu.tuning.choose(args, context.gpu);
  if (args.fp8)
    return std::make_unique<Fp8ConvOp>(make_product(args, choice, context.gpu.type),
                                       round_args(op, context.operands), context);
  return std::make_unique<ConvOp>(make_product(args, choice, context.gpu.type), context);
}

}  // namespace deepcache::cuda

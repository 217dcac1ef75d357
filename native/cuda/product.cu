#include "cuda/kernels/row_sums.h"
#include "cuda/op.h"
#include "cuda/product.h"
#include "cuda/workspace.h"

namespace deepcache::cuda {

Product plan_product(const MatmulArgs& args, const MatmulChoice& choice) {
  Product product;
  product.args = args;
  product.args.splits = choice.splits;
  product.tile = choice.tile;
  product.args.part_columns =
      product.apart() ? kPartApart : matmul_tile_info(choice.tile).part_columns;
  return product;
}

Product make_product(const MatmulArgs& args, const MatmulChoice& choice, ActivationType type) {
  Product product = plan_product(args, choice);
  if (is_sm90(choice.tile)) {
    product.boxes = choose_boxes(args, matmul_tile_info(choice.tile).rows);
    map_inputs(args, choice.tile,
               type == ActivationType::fp16 ? gpu::MapType::half : gpu::MapType::bfloat16,
               product.boxes);
  }
  return product;
}

size_t partial_count(const Product& product) {
  const MatmulArgs& args = product.args;
  if (!product.apart()) return 0;
  return size_t(args.splits) * args.phases * args.rows * args.columns;
}

template <typename T>
void launch_sums(const Product& product, const gpu::Properties& gpu, Stream stream) {
  if (is_sm90(product.tile) && product.args.fp8)
    launch_matmul_e4m3_sm90<Half>(product.args, product.boxes, product.tile, gpu.most_blocks(),
                                  stream);
  else if (has_pairs(product.tile))
    launch_matmul_sm90_pairs<T>(product.args, product.boxes, product.tile, gpu.most_blocks(),
                                stream);
  else if (is_sm90(product.tile))
    launch_matmul_sm90<T>(product.args, product.boxes, product.tile, gpu.most_blocks(), stream);
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
  std::string text = a.fp8 ? "matmul e4m3 " : "matmul ";
  if (is_sm90(product.tile)) text += "sm_90a ";
  text += std::to_string(tile.rows) + "x" + std::to_string(tile.columns);
  if (has_pairs(product.tile)) text += "_pairs";
  if (a.phases > 1) text += ", " + std::to_string(a.phases) + " phases";
  if (a.segment_count > 1) text += ", with its shortcut";
  if (a.splits > 1) text += ", k split in " + std::to_string(a.splits);
  if (a.normed) text += ", of normed rows";
  if (a.sums) text += ", sums of rows";
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
  size_t workspace_bytes() const override { return partial_count(product_) * sizeof(float); }
  void use_workspace(void* data) override { product_.args.partials = static_cast<float*>(data); }

 private:
  Product product_;
  const gpu::Properties& properties_;
  void (*launch_)(const Product&, const gpu::Properties&, Stream);
};

// A product with a layer norm folded into it, whose input nobody has summed before.
class SummingConvOp : public ConvOp {
 public:
  SummingConvOp(Product product, const RowSumsArgs& sums, const OpContext& context)
      : ConvOp(std::move(product), context),
        sums_(sums),
        launch_sums_(context.choose(launch_row_sums<Half>, launch_row_sums<Bfloat16>)) {}

  void launch(Stream stream) const override {
    launch_sums_(sums_, stream);
    ConvOp::launch(stream);
  }
  std::string kernel() const override { return ConvOp::kernel() + " behind their sums"; }

 private:
  RowSumsArgs sums_;
  void (*launch_sums_)(const RowSumsArgs&, Stream);
};

std::unique_ptr<DeviceOp> make_folded(const Conv& op, const OpContext& context) {
  const LayerNorm& norm = context.ops[op.layer_norm].layer_norm;
  MatmulArgs args = matmul_args(op, nullptr, context.operands);
  fold_norm(norm, context.operands.weights[op.weight], context.operands, args);
  const int channels = op.x.shape.c;
  const int part = op.row_writer >= 0 ? context.row_sums.part_columns : 0;
  args.input_sums = context.row_sums.data;
  args.input_parts = part ? (channels + part - 1) / part : 1;
  Product product =
      make_product(args, context.gpu.tuning.choose(args, context.gpu), context.gpu.type);
  if (part) return std::make_unique<ConvOp>(std::move(product), context);
  const RowSumsArgs sums{args.segments[0].x[0], int(op.x.shape.rows()), channels,
                         context.row_sums.data};
  return std::make_unique<SummingConvOp>(std::move(product), sums, context);
}

// A product of e4m3, whose input becomes codes before it.
class Fp8ConvOp : public DeviceOp {
 public:
  Fp8ConvOp(const MatmulArgs& args, const MatmulChoice& choice, const RoundArgs& round,
            const OpContext& context)
      : choice_(choice),
        type_(context.gpu.type),
        properties_(context.gpu.properties),
        product_(plan_product(args, choice)),
        round_(round) {
    const size_t scales = size_t(round.scales);
    partials_ = layout_.add<float>(partial_count(product_));
    codes_ = layout_.add<uint8_t>(round.count * scales);
    scales_ = layout_.add<float>(scales);
    largest_ = layout_.add<float>(round.rows ? 0 : scales * kRoundParts);
  }

  void launch(Stream stream) const override {
    launch_round_input<Half>(round_, stream);
    launch_product<Half>(product_, properties_, stream);
  }
  std::string kernel() const override { return describe(product_); }
  size_t workspace_bytes() const override { return layout_.bytes(); }
  void use_workspace(void* data) override {
    round_.codes = codes_.in(data);
    round_.to_scales = scales_.in(data);
    round_.largest = largest_.in(data);
    MatmulArgs args = product_.args;
    args.segments[0].x[0] = args.segments[0].x[1] = {round_.codes};
    args.segments[0].input_scales = round_.to_scales;
    args.partials = partials_.in(data);
    product_ = make_product(args, choice_, type_);
  }

 private:
  const MatmulChoice choice_;
  const ActivationType type_;
  const gpu::Properties& properties_;
  Product product_;
  RoundArgs round_;
  WorkspaceLayout layout_;
  WorkspacePart<float> partials_, scales_, largest_;
  WorkspacePart<uint8_t> codes_;
};

}  // namespace

std::unique_ptr<DeviceOp> make_op(const Conv& op, const OpContext& context) {
  if (context.operands.weights[op.weight].folded) return make_folded(op, context);
  MatmulArgs args = matmul_args(op, context.shortcut(op), context.operands);
  if (op.sums_rows) context.row_sums.part_columns = 0;
  if (auto padded = make_few_channels(args, context)) return padded;
  const bool sums = op.sums_rows && can_sum_rows(args);
  if (sums) args.sums = context.row_sums.data;
  const MatmulChoice choice = context.gpu.tuning.choose(args, context.gpu);
  if (args.fp8)
    return std::make_unique<Fp8ConvOp>(args, choice, round_args(op, context.operands), context);
  Product product = make_product(args, choice, context.gpu.type);
  if (sums) context.row_sums.part_columns = product.args.part_columns;
  return std::make_unique<ConvOp>(std::move(product), context);
}

}  // namespace deepcache::cuda

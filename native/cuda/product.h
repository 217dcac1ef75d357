#pragma once

// A convolution or linear layer of a program, ready to be launched.

#include <memory>
#include <string>

#include "cuda/conv.h"
#include "cuda/tiles.h"

namespace deepcache::cuda {

class DeviceOp;
struct OpContext;

struct Product {
  MatmulArgs args;
  MatmulTile tile = MatmulTile::sm80_64x64;
  MatmulBoxes boxes;  // of tiles of sm90

  // Whether launch_finish() follows.
  bool apart() const { return tile != MatmulTile::narrow_64x8 && args.apart(); }
};

// The product as `choice` says, without tensor maps: of inputs that have no place yet.
Product plan_product(const MatmulArgs& args, const MatmulChoice& choice);
// All of it. Throws Error(kInternal) when an input cannot be mapped.
Product make_product(const MatmulArgs& args, const MatmulChoice& choice, ActivationType type);

// Values of its MatmulArgs::partials.
size_t partial_count(const Product& product);

// The sums of one that is finished apart, without launch_finish().
template <typename T>
void launch_sums(const Product& product, const gpu::Properties& gpu, Stream stream);
template <typename T>
void launch_product(const Product& product, const gpu::Properties& gpu, Stream stream);

// Its kernel, in words.
std::string describe(const Product& product);

// kernels/matmul_few_channels.cu, or null for a product that is none of its.
std::unique_ptr<DeviceOp> make_few_channels(const MatmulArgs& args, const OpContext& context);

}  // namespace deepcache::cuda

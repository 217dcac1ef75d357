#pragma once

// The Inception v3 that Fréchet Inception distances are measured with: the network of 2015-12-05 in
// the layout of pytorch-fid's file. It differs from torchvision's in its pooling: means leave out
// what lies beyond the edges, and the last block takes a maximum.

#include "../runtime/plan.h"

namespace deepcache {

constexpr int kInceptionSide = 299;       // pixels of a picture
constexpr int kInceptionFeatures = 2048;  // of pool3

// image [n, 299, 299, 3] from -1 to 1 -> out [n, 1, 1, 2048]. Weights are those of convolutions
// with their batch norms in them (FoldedNorms).
Plan plan_inception(int batch);

}  // namespace deepcache

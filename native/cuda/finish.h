#pragma once

namespace deepcache::cuda {

// What becomes of a product's sums.
enum class Finish {
  plain,     // written
  residual,  // added to another tensor
  general,   // activation, scales, perhaps a residual
  geglu,
  apart,  // kept in fp32 for another kernel
};

}  // namespace deepcache::cuda

#pragma once

// Element by element, gathers and copies: see elementwise.cu, resample.cu and tokens.cu.

#include "cuda/kernels/common.h"

namespace deepcache::cuda {

struct ElementwiseArgs {
  View y, x, x2;
  bool has_x2 = false;
  size_t count = 0;
  int width = 1, repeat = 1;  // a row of x2 serves `repeat` rows of x in turn,
  size_t rows2 = 1;           // and after that many x2 begins again
  float a = 1, b = 1;
  Activation activation = Activation::none;
};
template <typename T>
void launch_elementwise(const ElementwiseArgs& args, Stream stream);

struct ConcatArgs {
  View y, x[2];
  int channels[2] = {};
  size_t rows = 0;
};
template <typename T>
void launch_concat(const ConcatArgs& args, Stream stream);

struct ResampleArgs {
  View y, x;
  int samples = 0, in_h = 0, in_w = 0, out_h = 0, out_w = 0, channels = 0;
};
template <typename T>
void launch_resample(const ResampleArgs& args, Stream stream);

struct NearestCodeArgs {
  View y, x;
  const void* table = nullptr;  // T [codes][width]
  int rows = 0, codes = 0, width = 0;
};
template <typename T>
void launch_nearest_code(const NearestCodeArgs& args, Stream stream);

// Tables hold values of type T.
struct EmbeddingArgs {
  View y;
  const int32_t* ids = nullptr;
  View table;  // fp32 where the one row is a vector of the model
  const void* positions = nullptr;
  int count = 0, length = 1, width = 0, vocabulary = 0;
  int* fault = nullptr;  // gets kBadToken when an id is outside of the vocabulary
};
template <typename T>
void launch_embedding(const EmbeddingArgs& args, Stream stream);

struct TimestepArgs {
  View y, x;
  int count = 0, dim = 0;
  bool flip_sin_to_cos = true;
  float freq_shift = 0;
};
template <typename T>
void launch_timestep_embedding(const TimestepArgs& args, Stream stream);

struct PickTokenArgs {
  View y, x;
  const int32_t* index = nullptr;
  int samples = 0, length = 0, width = 0;
  int* fault = nullptr;  // gets kBadIndex
};
template <typename T>
void launch_pick_token(const PickTokenArgs& args, Stream stream);

// What kernels can find wrong in their inputs; the host looks when it synchronises.
constexpr int kBadToken = 1, kBadIndex = 2;

}  // namespace deepcache::cuda

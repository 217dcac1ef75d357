#pragma once

// A model's parameters: where they come from, how plans name them, and the copies that a backend
// packed for itself.

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "tensor.h"

namespace deepcache {

class InputFile;

// What the backend makes of the named tensors.
enum class Recipe : uint8_t {
  vector,    // fp32 values, the tensors' one after the other (biases, norms)
  table,     // rows looked up by index (embeddings)
  matrix,    // [out, in * taps]; several tensors: their rows one after the other (fused QKV)
  geglu,     // a matrix whose two halves of rows meet in one epilogue
  upsample,  // a 3x3 convolution behind a nearest x2 enlargement: may be split in 2x2 phases
};

struct WeightSpec {
  Recipe recipe = Recipe::vector;
  std::vector<std::string> names;  // tensors of the file, e.g. "conv_in.weight"
  int out = 0;                     // rows in all (vector: values)
  int in = 1;                      // input channels
  int kernel_h = 1, kernel_w = 1;
  std::vector<int> rows = {};  // of each name; empty: one name with all rows
  bool linear = false;         // published as [out, in]; otherwise [out, in, kh, kw]
  bool token = false;          // a vector published as a token, [1, out]
  bool frames = false;         // published as [out, in, kh, kw, 1]: along a video's frames
  // Backends of fp8 (Backend::fp8) multiply it by e4m3, and keep its rows as such, each with a
  // scale: docs/fp8.md. For the recipes matrix and geglu.
  bool fp8 = false;
  // Of a product with a layer norm folded into it (folds.h): how many of the names, behind those of
  // the matrix, are the norm's parameters and the biases.
  int norms = 0, biases = 0;
  // Backends whose products are of bf16 keep it in fp32, if they have a choice.
  bool full = false;

  // The shape that the published model gives to names[i].
  std::vector<int64_t> published_shape(size_t i) const;
  size_t count() const { return size_t(out) * in * kernel_h * kernel_w; }
  // How many of the names are the matrix'.
  size_t matrix_names() const { return names.size() - size_t(norms) - size_t(biases); }
  // By what identifies the packed values.
  bool operator<(const WeightSpec& other) const;
};

// Values that are computed when they are read.
class ComputedTensor {
 public:
  virtual ~ComputedTensor() = default;
  // As read_floats() does; on several threads at once.
  virtual void read(size_t offset, size_t count, float* out) const = 0;
};

// One tensor of a file, in PyTorch's order: [out, in, kh, kw], [out, in] or [count].
// `transposed`: the values of an [out, in] lie there as those of an [in, out].
struct SourceTensor {
  Type type = Type::f32;
  std::vector<int64_t> shape;
  const void* data = nullptr;  // null: in `file`, from byte `offset` on
  size_t count = 0;
  const InputFile* file = nullptr;
  uint64_t offset = 0;
  bool transposed = false;
  const ComputedTensor* computed = nullptr;  // or else it is this
};

// Reads `count` values from element `offset` on, widened to fp32. `source.data` need not be
// aligned. Throws Error(kInvalidWeights) when the file cannot be read or was changed.
void read_floats(const SourceTensor& source, size_t offset, size_t count, float* out);

// Tensors of `width` values in a row as one matrix: their rows one after the other.
class SourceRows {
 public:
  SourceRows(const std::vector<const SourceTensor*>& sources, size_t width)
      : sources_(sources), width_(width) {}
  // Rows [first, first + count), widened.
  void read(size_t first, size_t count, float* out) const;

 private:
  const std::vector<const SourceTensor*>& sources_;
  size_t width_;
};

// Throws Error(kInvalidWeights) when the tensors together do not hold what the spec says.
void check_count(const WeightSpec& spec, const std::vector<const SourceTensor*>& sources);

// Where tensors come from: files, or a generator of synthetic ones.
class WeightSource {
 public:
  virtual ~WeightSource() = default;
  // Null when there is none of that name, nor of another that it has in files (tensor_names.h).
  virtual const SourceTensor* find(const std::string& name) const = 0;
  virtual std::vector<std::string> names() const = 0;
  // What the file calls the tensor.
  virtual std::string stored_name(const std::string& name) const { return name; }
  virtual std::string description() const = 0;  // for messages: the file's path
  // Gives memory back after packing, if it holds any. Tensors stay available; `data` pointers that
  // find() gave before may be invalid afterwards.
  virtual void release() {}
};

// A parameter as a backend keeps it.
class PackedWeight {
 public:
  virtual ~PackedWeight() = default;
  virtual size_t bytes() const = 0;
};

class Backend;

// The weights of one model on one backend. Packing happens once for each spec, whatever the number
// of plans that name it; several pipelines may share the object.
class Weights {
 public:
  Weights(std::shared_ptr<WeightSource> source, Backend& backend);
  ~Weights();

  // Throws Error(kInvalidWeights) when a tensor is missing or has another shape than the spec says.
  const PackedWeight& get(const WeightSpec& spec);
  // Packs again in place what was packed from any of the names (after the source changed:
  // adapters), each once. Returns how many.
  size_t update(const std::set<std::string>& names);

  bool contains(const std::string& name) const { return source_->find(name) != nullptr; }
  const WeightSource& source() const { return *source_; }
  size_t packed_bytes() const;

 private:
  std::vector<const SourceTensor*> resolve(const WeightSpec& spec) const;

  std::shared_ptr<WeightSource> source_;
  Backend& backend_;
  mutable std::mutex mutex_;
  std::map<WeightSpec, std::unique_ptr<PackedWeight>> packed_;
};

}  // namespace deepcache

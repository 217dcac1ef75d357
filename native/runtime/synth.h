#pragma once

// Synthetic weights, version 1: every value is a pure function of the tensor's name, its shape and
// the value's index, so that full-size models run and compare without any checkpoint.
//
// With h = FNV-1a 64 of the name, value i of the flat tensor starts as the splitmix64 output for
// the state h + i, read as v in [-1, 1) with 53 bits. It becomes v * scale + base, in double, then
// rounded to fp32, then to fp16:
//   "input..."                      scale sqrt(3), unit variance
//   two and more dimensions         scale gain * sqrt(3 / fan_in); see gain_of() in synth.cc
//   one dimension, "....bias"       scale 0.05
//   one dimension, others (norms)   scale 0.1, base 1

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "weights.h"

namespace deepcache {

struct SyntheticTensor {
  std::string name;  // diffusers' name
  std::vector<int64_t> shape;

  size_t count() const;
};

// The tensors that the specs name, each once: all weights of a model from its plans.
std::vector<SyntheticTensor> synthetic_tensors(const std::vector<WeightSpec>& specs);

// Values [offset, offset + count) as fp16 bits, or the same values widened.
void synthetic_values(const SyntheticTensor& tensor, size_t offset, size_t count, uint16_t* out);
void synthetic_values(const SyntheticTensor& tensor, size_t offset, size_t count, float* out);

// Generates a tensor when find() first asks for it, and again after release().
class SyntheticWeights : public WeightSource {
 public:
  explicit SyntheticWeights(std::vector<SyntheticTensor> tensors);
  const SourceTensor* find(const std::string& name) const override;
  std::vector<std::string> names() const override;
  std::string description() const override { return "synthetic weights"; }
  void release() override;

 private:
  struct Entry {
    SyntheticTensor tensor;
    SourceTensor view;
    std::vector<uint16_t> values;
  };

  mutable std::mutex mutex_;
  mutable std::map<std::string, Entry> entries_;
};

struct SyntheticFileOptions {
  Type type = Type::f16;  // or f32
  std::map<std::string, std::string> metadata;
  int threads = 0;  // 0: one for each core
  // Values written so far and in all; called from any thread, one at a time.
  std::function<void(size_t done, size_t total)> progress;
  const std::atomic<bool>* cancel = nullptr;
};

// Writes a safetensors file; it appears under its name only when it is complete. Throws
// Error(kInvalidArgument) when it cannot be written, Error(kAborted) after `cancel` became true.
void write_synthetic(const std::string& path, const std::vector<SyntheticTensor>& tensors,
                     const SyntheticFileOptions& options);

}  // namespace deepcache

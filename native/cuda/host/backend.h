#pragma once

// The CUDA backend as the runtime sees it: a thin Backend over the library's C functions (api.h).

#include <string>
#include <vector>

#include "cuda/api.h"
#include "cuda/host/packing.h"
#include "cuda/host/tuning_file.h"
#include "runtime/backend.h"

namespace deepcache::cuda {

// Throws the Error that a call left behind.
[[noreturn]] void rethrow(const ApiError& error);

// Calls a function of the table that may fail.
template <typename... P, typename... A>
void call(int (*function)(P...), A... arguments) {
  ApiError error;
  if (function(arguments..., &error)) rethrow(error);
}

// Device memory, with its owner's table.
class CudaMemory {
 public:
  CudaMemory(const Api& api, Context* context, size_t bytes);
  ~CudaMemory();
  CudaMemory(const CudaMemory&) = delete;
  char* data() const { return static_cast<char*>(data_); }
  size_t bytes() const { return bytes_; }
  void upload(const void* source, size_t bytes, size_t offset);
  void download(void* target, size_t bytes, size_t offset) const;
  void copy(const CudaMemory& source, size_t bytes, size_t offset, size_t source_offset);

 private:
  const Api& api_;
  Context* context_;
  void* data_ = nullptr;
  size_t bytes_;
};

class CudaBuffer : public Buffer {
 public:
  CudaBuffer(const Api& api, Context* context, size_t bytes)
      : Buffer(bytes), memory_(api, context, bytes) {}
  char* data() const { return memory_.data(); }

 protected:
  void write(const void* source, size_t bytes, size_t offset) override {
    memory_.upload(source, bytes, offset);
  }
  void read(void* target, size_t bytes, size_t offset) const override {
    memory_.download(target, bytes, offset);
  }
  void take(const Buffer& source, size_t bytes, size_t offset, size_t source_offset) override {
    memory_.copy(static_cast<const CudaBuffer&>(source).memory_, bytes, offset, source_offset);
  }

 private:
  CudaMemory memory_;
};

class CudaWeight : public PackedWeight {
 public:
  CudaWeight(const Api& api, Context* context, const WeightSpec& spec, bool fp8)
      : memory(api, context, packed_bytes(spec, fp8)), place{memory.data(),   spec.recipe,
                                                             spec.out,        spec.in,
                                                             spec.kernel_h,   spec.kernel_w,
                                                             fp8 && spec.fp8, spec.norms > 0} {}
  size_t bytes() const override { return memory.bytes(); }

  CudaMemory memory;
  WeightPlace place;
};

class CudaBackend : public Backend {
 public:
  // Throws Error(kBackendUnavailable) when the GPU cannot be used, or not for fp8.
  CudaBackend(const Api& api, int device, ActivationType type, bool fp8 = false);
  ~CudaBackend() override;

  std::string name() const override { return "cuda:" + std::to_string(device_); }
  Type activation_type() const override {
    return type_ == ActivationType::fp16 ? Type::f16 : Type::bf16;
  }
  bool fp8() const override { return fp8_; }
  size_t available_memory() const override;
  std::unique_ptr<Buffer> allocate(size_t bytes) override;
  std::unique_ptr<PackedWeight> pack(const WeightSpec& spec,
                                     const std::vector<const SourceTensor*>& sources) override;
  void repack(PackedWeight& target, const WeightSpec& spec,
              const std::vector<const SourceTensor*>& sources) override;
  std::vector<WeightSpec> weights_of(const Plan& plan) const override;
  size_t packed_bytes(const WeightSpec& spec) const override {
    return cuda::packed_bytes(spec, fp8_);
  }
  std::unique_ptr<Program> compile(const Plan& plan, Weights& weights, Buffer& arena,
                                   std::vector<Binding> bindings) override;
  std::unique_ptr<Loop> make_loop() override;
  void synchronize() override;

  // Replaces the table of measured tiles (Tuning::text); `measures`: whether programs made from
  // here on measure what is missing. The constructor has read the GPU's file (host/tuning_file.h).
  void set_tuning(const std::string& text, bool measures);
  std::string tuning() const;
  // What its kernels use and do without, in lines (Context::describe).
  std::string describe() const;

  // The device's own time for what is enqueued between the two, in seconds.
  void time_begin() { call(api_.time_begin, context_); }
  double time_end();

 private:
  using ReadText = int(Context*, char* text, size_t capacity, size_t* size, ApiError*);
  std::string read_text(ReadText* read) const;

  const Api& api_;
  const int device_;
  const ActivationType type_;
  const bool fp8_;
  Context* context_ = nullptr;
  TuningFile tuning_file_;
  bool measures_ = false;
};

}  // namespace deepcache::cuda

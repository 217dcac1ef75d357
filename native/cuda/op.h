#pragma once

// An op of a plan with its kernel chosen and its arguments made: what a program is a list of.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cuda/context.h"
#include "cuda/operands.h"

namespace deepcache::cuda {

class DeviceOp {
 public:
  virtual ~DeviceOp() = default;
  virtual void launch(Stream stream) const = 0;
  // What serves it, in words, for reports.
  virtual std::string kernel() const = 0;
  // Memory that it has while it runs; use_workspace() comes before the first launch.
  virtual size_t workspace_bytes() const { return 0; }
  virtual void use_workspace(void*) {}
};

// Sums of the rows of a layer norm's input, from the op that writes it to the one that norm is
// folded into (runtime/folds.h): there are those of one input at a time.
struct RowSums {
  float2* data = nullptr;
  int part_columns = 0;  // as the last writer gathers them; 0: it does not
};

// What ops are made from.
struct OpContext {
  Context& gpu;
  Operands operands;
  const std::vector<Op>& ops;         // of the plan
  const std::vector<bool>& is_added;  // those that later products do along
  RowSums& row_sums;

  // What the convolution adds to its sums instead of its residual, or null.
  const Conv* shortcut(const Conv& conv) const {
    return conv.shortcut >= 0 && is_added[conv.shortcut] ? &ops[conv.shortcut].conv : nullptr;
  }
  // Where kernels say what is wrong with their inputs: kBadToken ...
  int* fault() const { return reinterpret_cast<int*>(gpu.fault.data()); }
  // Of two functions for the types of activations.
  template <typename F>
  F* choose(F* half, F* bfloat16) const {
    return gpu.type == ActivationType::fp16 ? half : bfloat16;
  }
};

// Launches of one function with arguments that stay the same.
template <typename Args>
class KernelOp : public DeviceOp {
 public:
  using Launch = void(const Args&, Stream);
  KernelOp(const Args& args, Launch* launch, std::string kernel = "")
      : args_(args), launch_(launch), kernel_(std::move(kernel)) {}
  void launch(Stream stream) const override { launch_(args_, stream); }
  std::string kernel() const override { return kernel_; }

 protected:
  Args args_;

 private:
  Launch* launch_;
  std::string kernel_;
};

template <typename Args>
std::unique_ptr<DeviceOp> make_kernel_op(const OpContext& context, const Args& args,
                                         void (*half)(const Args&, Stream),
                                         void (*bfloat16)(const Args&, Stream),
                                         const std::string& kernel) {
  return std::make_unique<KernelOp<Args>>(args, context.choose(half, bfloat16), kernel);
}

// Of each op (kernels/; Conv: product.cu). Throws Error(kUnsupported) for what no kernel can do.
#define DEEPCACHE_OP(Type, name) \
  std::unique_ptr<DeviceOp> make_op(const Type& op, const OpContext& context);
DEEPCACHE_OPS(DEEPCACHE_OP)
#undef DEEPCACHE_OP

}  // namespace deepcache::cuda

#pragma once

// An op on tensors alone, as a plan of its own.

#include <vector>

#include "arguments.h"
#include "job.h"
#include "runtime/backend.h"

namespace deepcache::addon {

// A plan of one op: NCHW values of all its externals but the last one, which is the output.
struct OpAlone {
  Plan plan;
  std::vector<std::vector<float>> inputs;

  // The extent of a tensor that `in` gives under the name.
  static int extent(const Argument& in, const char* name);
  // An input of `channels` that `in` gives under the name, in the order of externals.
  Tensor input(const Argument& in, const char* name, Port port, Shape pixels);
  // One whose samples are all alike.
  Tensor input(Port port, int samples, const std::vector<float>& values);
  // Adds the op and finishes the plan.
  void finish(const Op& op);
};

// (backend, request) -> Job of the output in NCHW, of what `read` makes of the request.
Napi::Value start_alone(const Napi::CallbackInfo& info, OpAlone (*read)(const Argument& request));

}  // namespace deepcache::addon

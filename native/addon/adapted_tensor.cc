#include "adapted_tensor.h"

#include <algorithm>
#include <utility>

#include "adapters.h"
#include "adapters/adapted_weights.h"
#include "job.h"
#include "model_source.h"
#include "runtime/error.h"
#include "runtime/parallel.h"

namespace deepcache::addon {
namespace {

constexpr size_t kValuesAtOnce = size_t(1) << 18;  // that a thread computes

std::vector<float> compute(const StoredTensor& stored, const AdapterRequest& request,
                           const CancelFlag& cancel) {
  AdaptedWeights adapted(open_table({stored}));
  adapted.exchange(request.open());
  const SourceTensor& tensor = *adapted.find(stored.name);
  if (tensor.count == 0) return {};
  std::vector<float> values(tensor.count);
  const size_t rows = size_t(tensor.shape.empty() ? 1 : tensor.shape[0]);
  const size_t width = tensor.count / rows;
  const size_t block = std::max(size_t(1), kValuesAtOnce / width);
  parallel_for((rows + block - 1) / block, 0, [&](size_t index, int) {
    if (cancel) throw Error(ErrorCode::kAborted, "computing a weight with adapters was aborted");
    const size_t first = index * block, count = std::min(block, rows - first);
    read_floats(tensor, first * width, count * width, &values[first * width]);
  });
  return values;
}

}  // namespace

Napi::Value adapted_tensor(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Argument tensor(info[0], "tensor"), terms(info[1], "terms");
    StoredTensor stored = parse_stored_tensor(tensor);
    stored.name = tensor["name"].string();
    const auto request = AdapterRequest::of_weight(stored.name, terms);
    return start_job(info.Env(),
                     [stored = std::move(stored), request](JobContext& context) -> Finish {
                       return context.hand_over(compute(stored, *request, *context.cancel_flag()));
                     })
        .object(info.Env());
  });
}

}  // namespace deepcache::addon

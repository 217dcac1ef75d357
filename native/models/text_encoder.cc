#include "text_encoder.h"

#include <algorithm>

#include "../runtime/error.h"

namespace deepcache {

TextEncoder::TextEncoder(const ClipTextConfig& config, std::shared_ptr<WeightSource> source,
                         std::shared_ptr<Backend> backend)
    : Model(std::move(source), std::move(backend)), config_(config) {
  load(plan_clip_text(config_, 1, 1, 0));
  finish_loading();
}

TextEncoding TextEncoder::encode(const std::vector<int32_t>& ids, int batch, int length, int skip,
                                 const std::vector<int>& hidden, const CancelFlag* cancel,
                                 const std::vector<float>& added) {
  require_intact();
  const auto invalid = [](const std::string& what) {
    throw Error(ErrorCode::kInvalidArgument, "text encoder: " + what);
  };
  if (length < 1 || length > config_.positions)
    invalid("takes 1 to " + std::to_string(config_.positions) + " tokens, got " +
            std::to_string(length));
  if (batch < 1 || ids.size() != size_t(batch) * length) invalid("ids must be [batch, length]");
  if (added.size() % size_t(config_.width) != 0 || added.size() / config_.width > kMostAddedRows)
    invalid("added rows must be [0 to " + std::to_string(kMostAddedRows) + ", " +
            std::to_string(config_.width) + "]");
  if (!all_finite(added)) invalid("added rows must be finite");
  const int rows = int(added.size() / config_.width);
  for (const int32_t id : ids)
    if (id < 0 || id >= config_.vocabulary + rows)
      invalid("token id " + std::to_string(id) + " is outside of the vocabulary of " +
              std::to_string(config_.vocabulary + rows));
  if (skip < 0 || skip > config_.layers)
    invalid("can skip 0 to " + std::to_string(config_.layers) + " layers, got " +
            std::to_string(skip));
  for (const int index : hidden)
    if (index < 0 || index > config_.layers)
      invalid("has no hidden state " + std::to_string(index));

  const Plan plan = plan_clip_text(config_, batch, length, skip, rows);
  Buffers buffers = allocate(plan);
  std::vector<int32_t> pooled;
  for (int i = 0; i < batch; ++i)
    pooled.push_back(pooled_index(config_, ids.data() + size_t(i) * length, length));
  buffers[PortKind::ids]->upload(ids.data(), ids.size() * sizeof(int32_t));
  if (rows > 0) buffers[PortKind::added_rows]->upload(added.data(), added.size() * sizeof(float));
  buffers[PortKind::pooled_index]->upload(pooled.data(), pooled.size() * sizeof(int32_t));
  run_once(plan, bindings_of(buffers), cancel, nullptr);

  const auto read = [&](Port port) { return values_of(*buffers.at(port)); };
  TextEncoding out{batch,
                   length,
                   config_.width,
                   config_.projection ? config_.projection : config_.width,
                   read(PortKind::last),
                   read(PortKind::pooled),
                   {}};
  for (const int index : hidden) out.hidden.push_back(read({PortKind::hidden, index}));
  if (!all_finite(out.last) || !all_finite(out.pooled) ||
      !std::all_of(out.hidden.begin(), out.hidden.end(), all_finite))
    fail_not_finite("the text encoder", {plan},
                    [&](const Tap& tap) { run_once(plan, bindings_of(buffers), cancel, &tap); });
  return out;
}

}  // namespace deepcache

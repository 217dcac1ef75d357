// Synthetic weights in memory and as files.

#include <algorithm>
#include <set>
#include <utility>

#include "cpu_count.h"
#include "error.h"
#include "parallel.h"
#include "safetensors.h"
#include "synth.h"

namespace deepcache {
namespace {

constexpr size_t kChunk = size_t(1) << 18;  // values that a thread generates at a time

struct Chunk {
  size_t tensor, offset, count;
};

void append_chunks(std::vector<Chunk>& chunks, size_t tensor, size_t count) {
  for (size_t offset = 0; offset < count; offset += kChunk)
    chunks.push_back({tensor, offset, std::min(kChunk, count - offset)});
}

template <typename Value>
void write_values(SafetensorsWriter& writer, const std::vector<SyntheticTensor>& tensors,
                  const SyntheticFileOptions& options) {
  std::vector<Chunk> chunks;
  size_t total = 0, done = 0;
  for (size_t i = 0; i < tensors.size(); i++) {
    append_chunks(chunks, i, tensors[i].count());
    total += tensors[i].count();
  }
  const int workers = options.threads > 0 ? options.threads : available_cpus();
  std::vector<std::vector<Value>> buffers{size_t(workers)};
  std::mutex mutex;
  parallel_for(chunks.size(), workers, [&](size_t index, int worker) {
    if (options.cancel && *options.cancel)
      throw Error(ErrorCode::kAborted, "writing synthetic weights was aborted");
    const Chunk& chunk = chunks[index];
    std::vector<Value>& values = buffers[size_t(worker)];
    values.resize(kChunk);
    synthetic_values(tensors[chunk.tensor], chunk.offset, chunk.count, values.data());
    writer.write(writer.tensors()[chunk.tensor], values.data(), chunk.count * sizeof(Value),
                 chunk.offset * sizeof(Value));
    std::lock_guard lock(mutex);
    done += chunk.count;
    if (options.progress) options.progress(done, total);
  });
}

}  // namespace

std::vector<SyntheticTensor> synthetic_tensors(const std::vector<WeightSpec>& specs) {
  std::vector<SyntheticTensor> tensors;
  std::set<std::string> seen;
  for (const WeightSpec& spec : specs)
    for (size_t i = 0; i < spec.names.size(); i++)
      if (seen.insert(spec.names[i]).second)
        tensors.push_back({spec.names[i], spec.published_shape(i)});
  return tensors;
}

SyntheticWeights::SyntheticWeights(std::vector<SyntheticTensor> tensors) {
  for (SyntheticTensor& tensor : tensors) {
    Entry entry;
    entry.view.type = Type::f16;
    entry.view.shape = tensor.shape;
    entry.view.count = tensor.count();
    entry.tensor = std::move(tensor);
    const std::string name = entry.tensor.name;
    entries_.insert_or_assign(name, std::move(entry));
  }
}

const SourceTensor* SyntheticWeights::find(const std::string& name) const {
  std::lock_guard lock(mutex_);
  const auto found = entries_.find(name);
  if (found == entries_.end()) return nullptr;
  Entry& entry = found->second;
  if (!entry.view.data) {
    entry.values.resize(entry.view.count);
    std::vector<Chunk> chunks;
    append_chunks(chunks, 0, entry.view.count);
    parallel_for(chunks.size(), 0, [&](size_t index, int) {
      const Chunk& chunk = chunks[index];
      synthetic_values(entry.tensor, chunk.offset, chunk.count, entry.values.data() + chunk.offset);
    });
    entry.view.data = entry.values.data();
  }
  return &entry.view;
}

std::vector<std::string> SyntheticWeights::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

void SyntheticWeights::release() {
  std::lock_guard lock(mutex_);
  for (auto& [name, entry] : entries_) {
    entry.view.data = nullptr;
    std::vector<uint16_t>().swap(entry.values);  // an empty list would keep the memory
  }
}

void write_synthetic(const std::string& path, const std::vector<SyntheticTensor>& tensors,
                     const SyntheticFileOptions& options) {
  if (options.type != Type::f16 && options.type != Type::f32)
    throw Error(ErrorCode::kInvalidArgument, "synthetic weights are written as fp16 or fp32");
  std::vector<TensorInfo> infos;
  for (const SyntheticTensor& tensor : tensors) {
    TensorInfo info;
    info.name = tensor.name;
    info.dtype = options.type == Type::f16 ? "F16" : "F32";
    info.shape = tensor.shape;
    infos.push_back(std::move(info));
  }
  SafetensorsWriter writer(path, std::move(infos), options.metadata);
  if (options.type == Type::f16)
    write_values<uint16_t>(writer, tensors, options);
  else
    write_values<float>(writer, tensors, options);
  writer.finish();
}

}  // namespace deepcache

#include "weights.h"

#include <algorithm>
#include <cstring>
#include <tuple>
#include <utility>

#include "backend.h"
#include "e4m3.h"
#include "error.h"
#include "files.h"
#include "half.h"
#include "halves.h"

namespace deepcache {
namespace {

constexpr size_t kSome = 65536;  // bytes at a time: few calls of the system, little stack

// Copies values as they are stored.
template <typename Stored>
void read_stored(const SourceTensor& source, size_t offset, size_t count, Stored* out) {
  const size_t at = offset * sizeof(Stored), bytes = count * sizeof(Stored);
  if (source.data)
    std::memcpy(out, static_cast<const unsigned char*>(source.data) + at, bytes);
  else if (bytes > 0)
    source.file->read(out, bytes, source.offset + at);
}

// `widen_all(values, count, out)` is called for some at a time.
template <typename Stored, typename WidenAll>
void widen_by(const SourceTensor& source, size_t offset, size_t count, float* out,
              WidenAll widen_all) {
  constexpr size_t kMost = kSome / sizeof(Stored);
  Stored values[kMost];
  for (size_t done = 0; done < count; done += kMost) {
    const size_t some = std::min(count - done, kMost);
    read_stored(source, offset + done, some, values);
    widen_all(values, some, out + done);
  }
}

// `widen_one`: a lambda; a function's name would be called for each value.
template <typename Stored, typename Widen>
void widen(const SourceTensor& source, size_t offset, size_t count, float* out, Widen widen_one) {
  widen_by<Stored>(source, offset, count, out, [&](const Stored* values, size_t some, float* to) {
    for (size_t i = 0; i < some; i++) to[i] = widen_one(values[i]);
  });
}

// Values in the order in which they are stored.
void read_in_order(const SourceTensor& source, size_t offset, size_t count, float* out) {
  switch (source.type) {
    case Type::f32:
      return read_stored(source, offset, count, out);
    case Type::f16:
      return widen_by<uint16_t>(source, offset, count, out, halves_to_floats);
    case Type::bf16:
      return widen<uint16_t>(source, offset, count, out,
                             [](uint16_t v) { return bf16_to_float(v); });
    case Type::i32:
      return widen<int32_t>(source, offset, count, out, [](int32_t v) { return float(v); });
    case Type::f64:
      return widen<double>(source, offset, count, out, [](double v) { return float(v); });
    case Type::e4m3:
      return widen<uint8_t>(source, offset, count, out, e4m3_to_float);
    case Type::e5m2:
      return widen<uint8_t>(source, offset, count, out, [](uint8_t v) { return e5m2_to_float(v); });
    case Type::activation:
      break;  // no file holds it
  }
}

// The rows that the values are of, a stored row (a wanted column) at a time.
void read_transposed(const SourceTensor& source, size_t offset, size_t count, float* out) {
  const size_t rows = size_t(source.shape.at(0)), columns = size_t(source.shape.at(1));
  const size_t end = offset + count;
  std::vector<float> column;
  for (size_t row = offset / columns; row * columns < end;) {
    const size_t some = std::min(kSome / sizeof(float), (end + columns - 1) / columns - row);
    column.resize(some);
    for (size_t c = 0; c < columns; c++) {
      read_in_order(source, c * rows + row, some, column.data());
      for (size_t r = 0; r < some; r++) {
        const size_t at = (row + r) * columns + c;
        if (at >= offset && at < end) out[at - offset] = column[r];
      }
    }
    row += some;
  }
}

// [rows, in, kh, kw] with any number of 1s at the end, written or not: a linear layer may be stored
// as a 1x1 convolution, a 1x1 convolution as a linear layer, a temporal one with three axes.
bool fits_matrix(const std::vector<int64_t>& shape, const WeightSpec& spec) {
  const int64_t wanted[] = {spec.in, spec.kernel_h, spec.kernel_w};
  if (shape.size() < 2) return false;
  for (size_t i = 1; i < std::max<size_t>(shape.size(), 4); i++) {
    const int64_t here = i < shape.size() ? shape[i] : 1;
    if (here != (i < 4 ? wanted[i - 1] : 1)) return false;
  }
  return true;
}

bool fits(const std::vector<int64_t>& shape, const WeightSpec& spec) {
  switch (spec.recipe) {
    case Recipe::vector:
      return spec.token ? shape.size() == 2 && shape[1] == spec.out : shape.size() == 1;
    case Recipe::table:
      return shape.size() == 2 && shape[1] == spec.in;
    case Recipe::matrix:
    case Recipe::geglu:
    case Recipe::upsample:
      break;
  }
  return fits_matrix(shape, spec);
}

[[noreturn]] void mismatch(const WeightSource& source, const std::string& problem) {
  throw Error(ErrorCode::kInvalidWeights,
              source.description() + ": " + problem +
                  "; the configuration and the weights do not belong together");
}

}  // namespace

bool WeightSpec::operator<(const WeightSpec& other) const {
  const auto key = [](const WeightSpec& s) {
    return std::tie(s.recipe, s.names, s.out, s.in, s.kernel_h, s.kernel_w, s.fp8, s.full, s.norms,
                    s.biases);
  };
  return key(*this) < key(other);
}

std::vector<int64_t> WeightSpec::published_shape(size_t i) const {
  const size_t matrices = matrix_names();
  if (i >= matrices + size_t(norms)) {
    const size_t bias = i - matrices - size_t(norms);
    return {biases == 1 ? out : rows[bias]};
  }
  if (i >= matrices) return {in};
  const int64_t first = rows.empty() ? out : rows[i];
  if (recipe == Recipe::vector)
    return token ? std::vector<int64_t>{1, first} : std::vector<int64_t>{first};
  if (recipe == Recipe::table || linear) return {first, in};
  if (frames) return {first, in, kernel_h, kernel_w, 1};
  return {first, in, kernel_h, kernel_w};
}

void read_floats(const SourceTensor& source, size_t offset, size_t count, float* out) {
  if (source.computed) return source.computed->read(offset, count, out);
  if (count == 0) return;
  if (source.transposed) return read_transposed(source, offset, count, out);
  read_in_order(source, offset, count, out);
}

void SourceRows::read(size_t first, size_t count, float* out) const {
  size_t at = first * width_, left = count * width_;
  for (const SourceTensor* source : sources_) {
    if (at >= source->count) {
      at -= source->count;
      continue;
    }
    const size_t some = std::min(left, source->count - at);
    read_floats(*source, at, some, out);
    out += some;
    left -= some;
    at = 0;
    if (left == 0) return;
  }
  if (left > 0)
    throw Error(ErrorCode::kInternal, "weights: a matrix has fewer rows than its spec says");
}

void check_count(const WeightSpec& spec, const std::vector<const SourceTensor*>& sources) {
  size_t count = 0;
  for (const SourceTensor* source : sources) count += source->count;
  if (count != spec.count())
    throw Error(ErrorCode::kInvalidWeights, spec.names.at(0) + ": holds " + std::to_string(count) +
                                                " values, expected " +
                                                std::to_string(spec.count()));
}

Weights::Weights(std::shared_ptr<WeightSource> source, Backend& backend)
    : source_(std::move(source)), backend_(backend) {}

Weights::~Weights() = default;

std::vector<const SourceTensor*> Weights::resolve(const WeightSpec& spec) const {
  std::vector<const SourceTensor*> tensors;
  for (size_t i = 0; i < spec.names.size(); i++) {
    const std::string& name = spec.names[i];
    const std::string wanted = to_string(spec.published_shape(i));
    const SourceTensor* tensor = source_->find(name);
    const std::string stored = source_->stored_name(name);
    if (!tensor) mismatch(*source_, "lacks tensor \"" + stored + "\" of shape " + wanted);
    const bool is_vector = i >= spec.matrix_names();
    if (!(is_vector ? tensor->shape.size() == 1 : fits(tensor->shape, spec)) ||
        tensor->shape[0] != spec.published_shape(i)[0])
      mismatch(*source_, "tensor \"" + stored + "\" has shape " + to_string(tensor->shape) +
                             ", expected " + wanted);
    tensors.push_back(tensor);
  }
  return tensors;
}

const PackedWeight& Weights::get(const WeightSpec& spec) {
  std::lock_guard lock(mutex_);
  auto found = packed_.find(spec);
  if (found == packed_.end())
    found = packed_.emplace(spec, backend_.pack(spec, resolve(spec))).first;
  return *found->second;
}

size_t Weights::update(const std::set<std::string>& names) {
  std::lock_guard lock(mutex_);
  size_t count = 0;
  for (const auto& [spec, packed] : packed_) {
    const auto changed = [&](const std::string& name) { return names.contains(name); };
    if (std::ranges::none_of(spec.names, changed)) continue;
    backend_.repack(*packed, spec, resolve(spec));
    source_->release();
    count++;
  }
  return count;
}

size_t Weights::packed_bytes() const {
  std::lock_guard lock(mutex_);
  size_t bytes = 0;
  for (const auto& [spec, packed] : packed_) bytes += packed->bytes();
  return bytes;
}

}  // namespace deepcache

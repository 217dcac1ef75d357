#include "cuda/host/packing.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <span>

#include "cuda/packed_rows.h"
#include "runtime/e4m3.h"
#include "runtime/error.h"
#include "runtime/half.h"
#include "runtime/parallel.h"

namespace deepcache::cuda {
namespace {

size_t stride_of(size_t k) { return (k + 7) / 8 * 8; }
size_t taps_of(const WeightSpec& spec) { return size_t(spec.kernel_h) * spec.kernel_w; }

// A nearest x2 enlargement makes pairs of a 3x3 kernel's rows (columns) read the same input: output
// 2i reads i-1 by row 0 and i by rows 1, 2; output 2i+1 reads i by rows 0, 1 and i+1 by row 2. Rows
// [begin, end) for each phase and tap.
constexpr int kPhaseRows[2][2][2] = {{{0, 1}, {1, 3}}, {{0, 2}, {2, 3}}};

float phase_value(const float* taps9, int phase, int tap) {
  const int* rows = kPhaseRows[phase / 2][tap / 2];
  const int* columns = kPhaseRows[phase % 2][tap % 2];
  float sum = 0;
  for (int y = rows[0]; y < rows[1]; y++)
    for (int x = columns[0]; x < columns[1]; x++) sum += taps9[y * 3 + x];
  return sum;
}

// The output of a row of the published matrix. geglu: values are even outputs, gates odd ones.
size_t output_of(const WeightSpec& spec, size_t row) {
  const size_t half = size_t(spec.out) / 2;
  if (spec.recipe == Recipe::geglu) row = row < half ? 2 * row : 2 * (row - half) + 1;
  return row;
}

// Where its row goes.
size_t place_of(const WeightSpec& spec, size_t row) {
  return size_t(packed_row(int(output_of(spec, row))));
}

// [channel][tap] to [tap][channel].
void pack_row(const WeightSpec& spec, const float* values, ActivationType type, uint16_t* out) {
  const size_t taps = taps_of(spec), in = size_t(spec.in);
  for (size_t t = 0; t < taps; t++)
    for (size_t c = 0; c < in; c++) out[t * in + c] = narrow(values[c * taps + t], type);
}

void pack_matrix_row(const WeightSpec& spec, const float* values, size_t row, ActivationType type,
                     uint16_t* out) {
  const size_t taps = taps_of(spec), in = size_t(spec.in), rows = size_t(packed_rows(spec.out));
  const size_t place = place_of(spec, row);
  if (spec.recipe == Recipe::upsample) {
    const size_t stride = stride_of(4 * in);
    for (int phase = 0; phase < 4; phase++) {
      uint16_t* const to = out + (phase * rows + place) * stride;
      for (int tap = 0; tap < 4; tap++)
        for (size_t c = 0; c < in; c++)
          to[tap * in + c] = narrow(phase_value(&values[c * 9], phase, tap), type);
    }
    out += 4 * rows * stride;
  }
  pack_row(spec, values, type, out + place * stride_of(taps * in));
}

// What lies behind the rows of a weight with a norm: see WeightPlace::folded.
size_t folded_bytes(const WeightSpec& spec) {
  return spec.norms ? (2 * size_t(spec.out) + 1) * sizeof(float) : 0;
}

// The values of vectors, one after the other.
void read_vectors(std::span<const SourceTensor* const> sources, float* to) {
  for (const SourceTensor* source : sources) {
    read_floats(*source, 0, source->count, to);
    to += source->count;
  }
}

// Calls pack_one(row, values) for all rows of a matrix, in parallel.
void for_rows(const WeightSpec& spec, const std::vector<const SourceTensor*>& sources,
              const std::function<void(size_t row, const float* values)>& pack_one) {
  constexpr size_t kBlock = 16;  // rows of a task
  const size_t width = taps_of(spec) * size_t(spec.in);
  const SourceRows rows(sources, width);
  const size_t all = size_t(spec.out), blocks = (all + kBlock - 1) / kBlock;
  parallel_for(blocks, all * width < (size_t(1) << 18) ? 1 : 0, [&](size_t block, int) {
    const size_t first = block * kBlock, some = std::min(kBlock, all - first);
    std::vector<float> values(some * width);
    rows.read(first, some, values.data());
    for (size_t i = 0; i < some; i++) pack_one(first + i, &values[i * width]);
  });
}

}  // namespace

uint16_t narrow(float value, ActivationType type) {
  if (type == ActivationType::fp16) return float_to_half(value);
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fff;
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float widen(uint16_t bits, ActivationType type) {
  return type == ActivationType::fp16 ? half_to_float(bits) : bf16_to_float(bits);
}

size_t packed_bytes(const WeightSpec& spec, bool fp8) {
  const size_t rows = size_t(packed_rows(spec.out)), in = size_t(spec.in);
  if (fp8 && spec.fp8) return rows * (taps_of(spec) * in + sizeof(float));
  switch (spec.recipe) {
    case Recipe::vector:
      return spec.count() * sizeof(float);
    case Recipe::table:
      return spec.count() * 2;
    case Recipe::upsample:
      return rows * (4 * stride_of(4 * in) + stride_of(9 * in)) * 2;
    default:
      return rows * stride_of(taps_of(spec) * in) * 2 + folded_bytes(spec);
  }
}

namespace {

// fp16's smallest values have few bits: rows are scaled as if the largest of gamma were near one.
float power_of_two(std::span<const float> gamma) {
  float largest = 0;
  for (const float value : gamma) largest = std::fmax(largest, std::fabs(value));
  if (!(largest > 0) || !std::isfinite(largest)) return 1;
  return std::ldexp(1.0f, std::clamp(-std::ilogb(largest), -100, 100));
}

// The sums are those of the rounded values: a row's mean then counts exactly as it was multiplied.
std::vector<char> pack_folded(const WeightSpec& spec,
                              const std::vector<const SourceTensor*>& sources,
                              ActivationType type) {
  const size_t matrices = spec.matrix_names(), in = size_t(spec.in), stride = stride_of(in);
  const std::vector<const SourceTensor*> matrix(sources.begin(), sources.begin() + matrices);
  check_count(spec, matrix);
  const std::span vectors = std::span(sources).subspan(matrices);
  std::vector<float> norm(2 * in);
  read_vectors(vectors.first(2), norm.data());
  const std::span gamma = std::span(norm).first(in), beta = std::span(norm).last(in);
  const float scale = power_of_two(gamma);
  std::vector<char> out(packed_bytes(spec));
  uint16_t* const to = reinterpret_cast<uint16_t*>(out.data());
  float* const sums =
      reinterpret_cast<float*>(out.data() + size_t(packed_rows(spec.out)) * stride * 2);
  float* const add = sums + spec.out;
  add[spec.out] = 1 / scale;
  read_vectors(vectors.subspan(2), add);
  for_rows(spec, matrix, [&](size_t row, const float* values) {
    uint16_t* const packed = to + place_of(spec, row) * stride;
    double sum = 0, shift = 0;
    for (size_t c = 0; c < in; c++) {
      packed[c] = narrow(values[c] * (gamma[c] * scale), type);
      sum += widen(packed[c], type);
      shift += double(values[c]) * beta[c];
    }
    sums[output_of(spec, row)] = float(sum);
    add[row] += float(shift);
  });
  return out;
}

}  // namespace

std::vector<char> pack(const WeightSpec& spec, const std::vector<const SourceTensor*>& sources,
                       ActivationType type) {
  if (spec.norms) return pack_folded(spec, sources, type);
  check_count(spec, sources);
  if (spec.recipe == Recipe::upsample && (spec.kernel_h != 3 || spec.kernel_w != 3))
    throw Error(ErrorCode::kInternal, "weights: the upsample recipe is for 3x3 kernels");

  std::vector<char> out(packed_bytes(spec));
  if (spec.recipe == Recipe::vector) {
    read_vectors(sources, reinterpret_cast<float*>(out.data()));
    return out;
  }
  uint16_t* const to = reinterpret_cast<uint16_t*>(out.data());
  const size_t width = taps_of(spec) * size_t(spec.in);
  for_rows(spec, sources, [&](size_t row, const float* values) {
    if (spec.recipe == Recipe::table) {
      for (size_t c = 0; c < width; c++) to[row * width + c] = narrow(values[c], type);
    } else {
      pack_matrix_row(spec, values, row, type, to);
    }
  });
  return out;
}

std::vector<char> pack_fp8(const WeightSpec& spec,
                           const std::vector<const SourceTensor*>& sources) {
  check_count(spec, sources);
  const size_t taps = taps_of(spec), in = size_t(spec.in), k = taps * in;
  std::vector<char> out(packed_bytes(spec, true));
  float* const scales = reinterpret_cast<float*>(out.data() + size_t(packed_rows(spec.out)) * k);
  for_rows(spec, sources, [&](size_t row, const float* values) {
    float largest = 0;
    for (size_t i = 0; i < k; i++) largest = std::fmax(largest, std::fabs(values[i]));
    const E4m3Scale of(largest);
    scales[output_of(spec, row)] = of.scale;
    char* const to = &out[place_of(spec, row) * k];
    for (size_t t = 0; t < taps; t++)
      for (size_t c = 0; c < in; c++)
        to[t * in + c] = char(float_to_e4m3(values[c * taps + t] * of.factor));
  });
  return out;
}

}  // namespace deepcache::cuda

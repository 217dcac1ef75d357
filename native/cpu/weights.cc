#include "cpu/weights.h"

#include <algorithm>
#include <cstring>

#include "runtime/e4m3.h"
#include "runtime/error.h"

namespace deepcache::cpu {
namespace {

constexpr size_t kLine = 16;          // floats in a cache line
constexpr size_t kBlock = 1024;       // values of a row that are transposed at a time
constexpr size_t kChunk = 64 * 1024;  // values of an item, for plain copies

bool is_matrix(Recipe recipe) { return recipe != Recipe::vector && recipe != Recipe::table; }

// What a matrix is multiplied as on a backend of `products`.
Products products_of(const WeightSpec& spec, Products products) {
  const bool fits = products == Products::bf16  ? !spec.full && is_matrix(spec.recipe)
                    : products == Products::fp8 ? spec.fp8
                                                : false;
  return fits ? products : Products::fp32;
}

// Rows of a panel for each tap.
size_t rows_of_tap(const WeightSpec& spec, Products products) {
  const size_t in = size_t(spec.in);
  return products == Products::bf16 ? (in + kBf16Depth - 1) / kBf16Depth * kBf16Depth : in;
}

size_t rows_of_panel(const WeightSpec& spec, Products products) {
  const size_t taps = spec.recipe == Recipe::upsample ? 16 : size_t(spec.kernel_h) * spec.kernel_w;
  return taps * rows_of_tap(spec, products);
}

int count_panels(const WeightSpec& spec, const Kernels& kernels) {
  if (spec.recipe == Recipe::geglu) return (spec.out / 2 + kernels.lanes - 1) / kernels.lanes;
  return (spec.out + kernels.panel - 1) / kernels.panel;
}

// The row of the matrix that a lane of a panel holds, or -1.
int row_of_lane(const WeightSpec& spec, const Kernels& kernels, int panel, int lane) {
  if (spec.recipe != Recipe::geglu) {
    const int row = panel * kernels.panel + lane;
    return row < spec.out ? row : -1;
  }
  const int half = spec.out / 2;
  const int row = panel * kernels.lanes + lane % kernels.lanes;
  if (row >= half) return -1;
  return lane < kernels.lanes ? row : half + row;
}

// Reads what a panel's lanes hold, [lane][channel][tap]; zeros where they hold nothing.
void read_panel(const WeightSpec& spec, const SourceRows& rows, const Kernels& kernels, int panel,
                size_t row_floats, float* out) {
  const int width = kernels.panel;
  for (int lane = 0; lane < width;) {
    const int row = row_of_lane(spec, kernels, panel, lane);
    int run = 1;  // of rows that lie together
    while (lane + run < width &&
           row_of_lane(spec, kernels, panel, lane + run) == (row < 0 ? row : row + run))
      run++;
    float* const to = out + size_t(lane) * row_floats;
    if (row < 0)
      std::fill(to, to + size_t(run) * row_floats, 0.0f);
    else
      rows.read(size_t(row), size_t(run), to);
    lane += run;
  }
}

// A nearest x2 enlargement makes pairs of a 3x3 kernel's rows (columns) read the same input:
// output 2i reads i-1 by row 0 and i by rows 1, 2; output 2i+1 reads i by rows 0, 1 and i+1 by
// row 2. Rows [begin, end) for each phase and tap.
constexpr int kPhaseRows[2][2][2] = {{{0, 1}, {1, 3}}, {{0, 2}, {2, 3}}};

// taps9: the nine taps of one channel, `stride` floats apart.
void sum_phase(const float* taps9, size_t stride, int phase, int tap, int width, float* out) {
  const int* rows = kPhaseRows[phase / 2][tap / 2];
  const int* columns = kPhaseRows[phase % 2][tap % 2];
  std::fill(out, out + width, 0.0f);
  for (int y = rows[0]; y < rows[1]; y++)
    for (int x = columns[0]; x < columns[1]; x++)
      for (int i = 0; i < width; i++) out[i] += taps9[(y * 3 + x) * stride + i];
}

// Rows [c0, c0 + channels) of each tap of a panel as pairs. turned: [channel][tap][lane]. `sums`:
// two panels' widths of scratch.
void pack_pairs(const CpuWeight& weight, const WeightSpec& spec, const Kernels& kernels,
                const float* turned, size_t c0, size_t channels, float* sums, Bf16* out) {
  const size_t width = kernels.panel;
  const bool upsample = spec.recipe == Recipe::upsample;
  const size_t taps = size_t(spec.kernel_h) * spec.kernel_w, kept = upsample ? 16 : taps;
  for (size_t t = 0; t < kept; t++)
    for (size_t c = 0; c < channels; c += 2) {
      const float* rows[2];
      for (size_t i = 0; i < 2; i++) {
        const float* const from = turned + (c + i) * taps * width;
        float* const sum = sums + i * width;
        rows[i] = upsample ? sum : from + t * width;
        if (c + i == channels)
          std::fill(sum, sum + width, 0.0f), rows[i] = sum;  // odd channels
        else if (upsample)
          sum_phase(from, width, int(t) / 4, int(t) % 4, int(width), sum);
      }
      kernels.bf16->pair(rows[0], rows[1], out + (t * (weight.k / kept) + c0 + c) * width);
    }
}

void pack_panel(CpuWeight& weight, const WeightSpec& spec, const SourceRows& rows,
                const Kernels& kernels, int panel, float* scratch) {
  const size_t taps = size_t(spec.kernel_h) * spec.kernel_w, width = kernels.panel;
  const size_t channels = std::max<size_t>(2, kBlock / taps / 2 * 2);  // of a block
  const size_t row_floats = taps * spec.in;
  float* const read = scratch;                         // [lane][channel][tap]
  float* const turned = scratch + width * row_floats;  // [channel][tap][lane] of a block
  float* const out = weight.values.floats() + panel * weight.k * width;
  read_panel(spec, rows, kernels, panel, row_floats, read);
  if (weight.products == Products::fp8)
    for (size_t lane = 0; lane < width; lane++) {
      float* const row = read + lane * row_floats;
      const E4m3Scale of(kernels.largest(row, row_floats));
      kernels.round_to_e4m3(row, row, row_floats, of.factor, of.scale);
    }
  std::vector<const float*> pointers(width);
  const bool is_bf16 = weight.products == Products::bf16;
  // Without taps the turned block is what is wanted.
  const bool in_place = taps == 1 && spec.recipe != Recipe::upsample && !is_bf16;
  for (size_t c0 = 0; c0 < size_t(spec.in); c0 += channels) {
    const size_t some = std::min(channels, spec.in - c0), count = some * taps;
    for (size_t lane = 0; lane < width; lane++)
      pointers[lane] = read + lane * row_floats + c0 * taps;
    if (in_place) {
      kernels.transpose_away(pointers.data(), int(count), out + c0 * width);
      continue;
    }
    kernels.transpose(pointers.data(), int(width), int(count), turned, int(width));
    if (is_bf16) {
      Bf16* const pairs = reinterpret_cast<Bf16*>(weight.values.data()) + panel * weight.k * width;
      pack_pairs(weight, spec, kernels, turned, c0, some, turned + some * taps * width, pairs);
      continue;
    }
    for (size_t c = 0; c < some; c++) {
      const float* from = turned + c * taps * width;
      if (spec.recipe == Recipe::upsample) {
        for (int i = 0; i < 16; i++)
          sum_phase(from, width, i / 4, i % 4, int(width), out + (i * spec.in + c0 + c) * width);
      } else {
        for (size_t t = 0; t < taps; t++)
          std::memcpy(out + (t * spec.in + c0 + c) * width, from + t * width,
                      width * sizeof(float));
      }
    }
  }
}

}  // namespace

size_t packed_bytes(const WeightSpec& spec, const Kernels& kernels, Products products) {
  if (!is_matrix(spec.recipe)) return (spec.count() + kLine - 1) / kLine * kLine * sizeof(float);
  products = products_of(spec, products);
  const size_t each = products == Products::bf16 ? sizeof(Bf16) : sizeof(float);
  return size_t(count_panels(spec, kernels)) * rows_of_panel(spec, products) * kernels.panel * each;
}

CpuWeight::CpuWeight(const WeightSpec& spec, const Kernels& kernels, Products wanted)
    : recipe(spec.recipe),
      products(products_of(spec, wanted)),
      values(packed_bytes(spec, kernels, wanted)) {
  if (!is_matrix(recipe)) return;
  panels = count_panels(spec, kernels);
  k = rows_of_panel(spec, products);
}

void pack(CpuWeight& weight, const WeightSpec& spec,
          const std::vector<const SourceTensor*>& sources, const Kernels& kernels,
          ThreadPool& pool) {
  check_count(spec, sources);

  if (!is_matrix(spec.recipe)) {
    float* out = weight.values.floats();
    for (const SourceTensor* source : sources) {
      const size_t chunks = (source->count + kChunk - 1) / kChunk;
      pool.run(int(chunks), [&](int i, int) {
        const size_t first = i * kChunk;
        read_floats(*source, first, std::min(kChunk, source->count - first), out + first);
      });
      out += source->count;
    }
    return;
  }

  if (spec.recipe == Recipe::upsample && (spec.kernel_h != 3 || spec.kernel_w != 3))
    throw Error(ErrorCode::kInternal, "weights: the upsample recipe is for 3x3 kernels");
  const size_t taps = size_t(spec.kernel_h) * spec.kernel_w;
  const SourceRows rows(sources, taps * spec.in);
  // What is read, a block turned (at least two channels) and two rows.
  const size_t scratch = (taps * spec.in + std::max(kBlock, 2 * taps) + 2) * kernels.panel;
  pool.run(weight.panels, [&](int panel, int thread) {
    pack_panel(weight, spec, rows, kernels, panel, pool.scratch(thread, scratch));
  });
}

}  // namespace deepcache::cpu

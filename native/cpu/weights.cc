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

size_t rows_of_panel(const WeightSpec& spec) {
  const size_t taps = spec.recipe == Recipe::upsample ? 16 : size_t(spec.kernel_h) * spec.kernel_w;
  return taps * spec.in;
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

void pack_panel(CpuWeight& weight, const WeightSpec& spec, const SourceRows& rows,
                const Kernels& kernels, int panel, float* scratch) {
  const size_t taps = size_t(spec.kernel_h) * spec.kernel_w, width = kernels.panel;
  const size_t channels = std::max<size_t>(1, kBlock / taps);  // of a block
  const size_t row_floats = taps * spec.in;
  float* const read = scratch;                         // [lane][channel][tap]
  float* const turned = scratch + width * row_floats;  // [channel][tap][lane] of a block
  float* const out = weight.values.floats() + panel * weight.k * width;
  read_panel(spec, rows, kernels, panel, row_floats, read);
  if (weight.fp8)
    for (size_t lane = 0; lane < width; lane++) {
      float* const row = read + lane * row_floats;
      const E4m3Scale of(kernels.largest(row, row_floats));
      kernels.round_to_e4m3(row, row, row_floats, of.factor, of.scale);
    }
  std::vector<const float*> pointers(width);
  // Without taps the turned block is what is wanted.
  const bool in_place = taps == 1 && spec.recipe != Recipe::upsample;
  for (size_t c0 = 0; c0 < size_t(spec.in); c0 += channels) {
    const size_t some = std::min(channels, spec.in - c0), count = some * taps;
    for (size_t lane = 0; lane < width; lane++)
      pointers[lane] = read + lane * row_floats + c0 * taps;
    if (in_place) {
      kernels.transpose_away(pointers.data(), int(count), out + c0 * width);
      continue;
    }
    kernels.transpose(pointers.data(), int(width), int(count), turned, int(width));
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

size_t packed_bytes(const WeightSpec& spec, const Kernels& kernels) {
  if (!is_matrix(spec.recipe)) return (spec.count() + kLine - 1) / kLine * kLine * sizeof(float);
  return size_t(count_panels(spec, kernels)) * rows_of_panel(spec) * kernels.panel * sizeof(float);
}

CpuWeight::CpuWeight(const WeightSpec& spec, const Kernels& kernels, bool fp8)
    : recipe(spec.recipe), fp8(fp8 && spec.fp8), values(packed_bytes(spec, kernels)) {
  if (!is_matrix(recipe)) return;
  panels = count_panels(spec, kernels);
  k = rows_of_panel(spec);
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
  const size_t scratch = (taps * spec.in + std::max(kBlock, taps)) * kernels.panel;
  pool.run(weight.panels, [&](int panel, int thread) {
    pack_panel(weight, spec, rows, kernels, panel, pool.scratch(thread, scratch));
  });
}

}  // namespace deepcache::cpu

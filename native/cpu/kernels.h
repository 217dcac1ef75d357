#pragma once

// The border between portable code and the inner loops, which exist once per instruction set
// (kernels.cc). Plain data and pointers only.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/ops.h"

namespace deepcache::cpu {

// c (+)= a b for a block of rows and some panels of columns.
struct Multiply {
  int k = 0;
  int rows = 0, tiles = 0;   // tile t holds rows [rows * t / tiles, rows * (t + 1) / tiles)
  const float* a = nullptr;  // tile by tile, [k][rows of the tile]
  int panels = 0;
  int columns = 0;           // of the last panel that matter
  const float* b = nullptr;  // [k][panel width] for each panel
  size_t b_stride = 0;       // floats from panel to panel
  float* c = nullptr;        // [panel][rows][panel width], or with a stride
  size_t c_stride = 0;       // floats from row to row, in which the panels lie side by side
  bool first = false;        // c is overwritten
};

// A bf16 value: the upper half of an fp32's bits.
using Bf16 = uint16_t;

// The same product of bf16 values, summed in fp32. Operands are tiles as AMX has them: `a` has one
// of kBf16Rows rows by kBf16Depth of k after the other, [row tile][k tile][row][k]; `b` has pairs
// of k side by side, [k / 2][panel width][2] for each panel, which is what dot products of pairs
// take, too.
constexpr int kBf16Rows = 16, kBf16Depth = 32;
struct Bf16Multiply {
  int depth = 0, tiles = 0;  // k tiles, row tiles
  const Bf16* a = nullptr;
  int panels = 0, columns = 0;  // as in Multiply, as all below
  const Bf16* b = nullptr;
  size_t b_stride = 0;
  float* c = nullptr;  // [panel][row of all tiles][panel width]
  bool first = false;
};

// Row by row: y = scale * act(c + bias + row) + residual_scale * residual.
struct Epilogue {
  int rows = 0;
  int c_rows = 0;                     // of a panel of c, `rows` or more
  int panels = 0, columns = 0;        // columns of y that the panels cover
  const float* c = nullptr;           // [panel][c_rows][panel width]
  const float* bias = nullptr;        // at the first column; may be null
  const float* gate_bias = nullptr;   // geglu: of the second half
  float* const* y = nullptr;          // per row, at the first column
  Bf16* const* bf16_y = nullptr;      // the same of Bf16Kernels::epilogue, which rounds
  const float* const* row = nullptr;  // may be null, as all below
  const float* const* residual = nullptr;
  Activation activation = Activation::none;
  float scale = 1, residual_scale = 1;
};

// One head of one sequence, for queries [begin, end).
struct AttentionJob {
  // Element 0, at the head's first channel: fp32 values, or bf16's where that is said, which
  // Bf16Kernels::attention alone takes.
  const void *q = nullptr, *k = nullptr, *v = nullptr;
  void* y = nullptr;
  struct Narrow {
    bool q = false, k = false, v = false, y = false;
  } narrow;
  ptrdiff_t q_step = 0, k_step = 0, v_step = 0, y_step = 0;  // values from element to element
  int begin = 0, end = 0, keys = 0, width = 0;
  float scale = 1;
  bool causal = false;
  float* scratch = nullptr;  // attention_scratch() floats, 64-byte aligned
  const std::atomic<bool>* cancel = nullptr;
};

// y = act((1 + gain) * (a * x + b * x2 + offset) + shift).
struct ElementwiseJob {
  const float *x = nullptr, *x2 = nullptr;  // x2 may be null
  float* y = nullptr;
  size_t count = 0;
  float a = 1, b = 1, offset = 0;
  const float *gain = nullptr, *shift = nullptr;  // both or none
  Activation activation = Activation::none;
  float slope = 0;                // of leaky_relu,
  const float* slopes = nullptr;  // or one for each value; may be null
};

// What is computed in bf16, where a backend does so (Products::bf16). Values are rounded to nearest
// even; subnormal ones count as zero, as the processors' instructions have it.
struct Bf16Kernels {
  // A row tile's columns [k, k + length) of `a` from kBf16Rows rows of floats, multiplied by
  // `sign`; those behind, up to the end of their k tile, become zero. `tile`: its first k tile.
  void (*gather)(const void* const* rows, int length, float sign, Bf16* tile, int k);
  // The same from rows of bf16.
  void (*gather_bf16)(const void* const* rows, int length, float sign, Bf16* tile, int k);
  // Two rows of `b`, of a panel's width, as pairs.
  void (*pair)(const float* even, const float* odd, Bf16* out);
  void (*multiply)(const Bf16Multiply&);
  size_t (*attention_scratch)(int queries, int width);
  void (*attention)(const AttentionJob&);
  double (*peak_loop)(long rounds, float* sink);
  // Those of Kernels for what is kept in bf16 (Plan::is_narrow()): a product's results, and what
  // norms read and write.
  void (*epilogue)(const Epilogue&);
  void (*channel_sums)(const Bf16* x, int rows, int channels, const Bf16* pivot, double* sum,
                       double* square);
  void (*scale_shift_from)(const Bf16* x, float* y, int rows, int channels, int y_stride,
                           const float* scale, const float* shift, bool silu);
  void (*scale_shift_to)(const float* x, Bf16* y, int rows, int channels, int y_stride,
                         const float* scale, const float* shift, bool silu);
  void (*scale_shift)(const Bf16* x, Bf16* y, int rows, int channels, int y_stride,
                      const float* scale, const float* shift, bool silu);
  void (*layer_norm_to)(const float* x, Bf16* y, int rows, int channels, const float* gamma,
                        const float* beta, float epsilon);
};

struct Kernels {
  const char* name;
  int lanes;      // floats in a vector
  int tile_rows;  // most rows of a tile
  int panel;      // columns of a panel: two vectors

  // out[i * stride + r] = rows[r][i] for r < count <= panel, i < length, in ascending order of i.
  // Writes whole vectors: up to lanes - 1 floats behind each run of `count` are overwritten (by the
  // next run, for count <= lanes; more rows need a stride of whole vectors).
  void (*transpose)(const float* const* rows, int count, int length, float* out, int stride);
  // The same for a whole panel of rows, with that stride, for values that nobody looks at soon:
  // past the caches where the processor can. `out` is aligned to a vector.
  void (*transpose_away)(const float* const* rows, int length, float* out);
  void (*multiply)(const Multiply&);
  void (*epilogue)(const Epilogue&);

  // Floats of scratch for a job of `queries` queries.
  size_t (*attention_scratch)(int queries, int width);
  void (*attention)(const AttentionJob&);

  // Adds to sum[c] and square[c] the values of x - pivot, and their squares; x [rows][channels].
  void (*channel_sums)(const float* x, int rows, int channels, const float* pivot, double* sum,
                       double* square);
  // y = x * scale + shift by channel, then SiLU.
  void (*scale_shift)(const float* x, float* y, int rows, int channels, int y_stride,
                      const float* scale, const float* shift, bool silu);
  void (*layer_norm)(const float* x, float* y, int rows, int channels, const float* gamma,
                     const float* beta, float epsilon);
  void (*elementwise)(const ElementwiseJob&);

  // The largest magnitude.
  float (*largest)(const float* x, size_t count);
  // y: what the codes of x stand for (E4m3Scale); may be x.
  void (*round_to_e4m3)(const float* x, float* y, size_t count, float factor, float scale);

  // For benchmarks: nothing but multiply-adds. Returns how many floating point operations it did.
  double (*peak_loop)(long rounds, float* sink);

  const Bf16Kernels* bf16;
  // Whether the processor multiplies bf16 itself. Otherwise it takes fp32's instructions, which is
  // slower than fp32.
  bool has_bf16;
};

// The best that the processor runs for products of fp32, or of bf16; or the one that the
// environment variable DEEPCACHE_ISA names (baseline, avx2, avx512; avx512_bf16 and amx, which
// differ from avx512 in bf16 only, as neon_bf16 does from baseline). Throws Error(kInvalidArgument)
// when that one does not exist or run.
const Kernels& choose_kernels(bool bf16 = false);
// Null when this build or processor does not have it.
const Kernels* find_kernels(const char* name);

}  // namespace deepcache::cpu

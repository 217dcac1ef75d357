#pragma once

// The border between the addon and libdeepcache_cuda.so: one table of C functions over plain data.
// No C++ object, exception or allocation crosses. Plan, weights and the sampler's loop stay on the
// addon's side (host/), which sees device memory as addresses; kernels and launches are on the
// other.
//
// The library exports deepcache_cuda_api(). Both sides are built from one source tree: the build
// id, which names the sources, says whether they really were. The ABI number changes only when the
// table's first two fields do.

#include <cstddef>
#include <cstdint>

#include "runtime/ops.h"
#include "runtime/table.h"
#include "runtime/weights.h"

#define DEEPCACHE_CUDA_ABI 4

namespace deepcache::cuda {

enum class ActivationType : uint8_t { fp16, bf16 };

// What a failed call leaves behind. Calls return 0, or 1 with this filled in.
struct ApiError {
  int code = 0;  // an ErrorCode
  char text[1024] = "";
};

struct DeviceInfo {
  char name[256];
  int major, minor, multiprocessors;
  int driver;  // the newest CUDA that the driver supports, 1000 * major + 10 * minor
  size_t memory_bytes, free_bytes;
};

// Where a tensor of a plan lies; with step != 0 that of step i is i * step bytes further on.
struct TensorPlace {
  void* data = nullptr;
  size_t bytes = 0;  // of one step
  size_t step = 0;
  int last_step = 0;
  Type type = Type::activation;
};

// A packed weight. Matrices are rows of `stride` 16-bit values, k innermost (tap, then channel),
// padded with zeros to a multiple of 8. geglu: value and gate rows alternate. upsample: the
// matrices of the four phases (y odd, x odd) with 2x2 taps, then the plain one of 3x3 taps for
// enlargements that are cropped. fp8: rows of codes of e4m3, as many bytes as values, then the
// rows' scales, fp32.
struct WeightPlace {
  const void* data = nullptr;
  Recipe recipe = Recipe::vector;
  int out = 0, in = 0, kernel_h = 1, kernel_w = 1;
  bool fp8 = false;
  // Its layer norm is folded into it (runtime/folds.h). Rows are those of the matrix times gamma
  // and a power of two; behind them lie, in fp32, the sums of the rows as they are there [out], in
  // their own order before packing; what is added to the outputs in the place of a bias [out], in
  // the published order; and the inverse of the power of two.
  bool folded = false;
};

// A finished plan. Everything is copied; the memory that places name must outlive the program.
struct ProgramSpec {
  const Op* ops = nullptr;
  int op_count = 0;
  const TensorPlace* tensors = nullptr;  // by id
  int tensor_count = 0;
  const WeightPlace* weights = nullptr;
  int weight_count = 0;
};

// The state that a step table works on, in device memory: see table.h.
struct SamplerShape {
  int batch, outputs, pixels, channels, input_channels;
  auto operator<=>(const SamplerShape&) const = default;
};
struct SamplerBuffers {
  float *x, *model_input, *model_output, *m, *x0, *noise, *history[kHistorySlots];
  float *constant, *mask, *init, *init_noise, *kept;
};

struct Context;  // a device, its stream, and the type of activations
struct ProgramHandle;
struct LoopHandle;

// Ops [first, last) of a program; and some of these that a row runs in order.
struct SegmentPlace {
  ProgramHandle* program;
  int first, last;
};
struct SegmentList {
  int first, count;
};

// A run of a loop: a step table and its state. Tables are copied; buffers and programs must outlive
// the run.
struct LoopSpec {
  SamplerShape shape;
  SamplerBuffers buffers;
  const ProgramKey* keys = nullptr;  // of the programs
  const SegmentPlace* segments = nullptr;
  const SegmentList* programs = nullptr;  // places in `segments`
  int program_count = 0;
  const StepRow* rows = nullptr;
  int row_count = 0;
  const Term* terms = nullptr;
  size_t term_count = 0;
  const float* values = nullptr;
  size_t value_count = 0;
};

struct Api {
  uint32_t abi;
  const char* build;

  int (*device_count)(int* count, ApiError*);
  int (*device_info)(int device, DeviceInfo*, ApiError*);
  // `fp8`: products of e4m3 will be asked for; an error where the GPU has none.
  int (*context_create)(int device, ActivationType, bool fp8, Context**, ApiError*);
  void (*context_destroy)(Context*);
  int (*synchronize)(Context*, ApiError*);
  // What its kernels use and do without, in lines (Context::describe): as much as fits, and its
  // size.
  int (*context_describe)(Context*, char* text, size_t capacity, size_t* size, ApiError*);

  // Whether programs may have layer norms folded into weights.
  bool (*context_folds)(const Context*);

  int (*memory_create)(Context*, size_t bytes, void** data, ApiError*);  // zero-filled
  void (*memory_destroy)(Context*, void* data);
  int (*upload)(Context*, void* to, const void* from, size_t bytes, ApiError*);
  int (*download)(Context*, void* to, const void* from, size_t bytes, ApiError*);
  int (*copy)(Context*, void* to, const void* from, size_t bytes, ApiError*);  // on the device

  int (*program_create)(Context*, const ProgramSpec*, ProgramHandle**, ApiError*);
  void (*program_destroy)(ProgramHandle*);
  // Enqueues ops [first, last) of the program.
  int (*program_run)(ProgramHandle*, int step, int first, int last, ApiError*);
  // The kernel that serves an op, in words; valid as long as the program.
  const char* (*program_kernel)(ProgramHandle*, int op);

  // Loops keep a graph of every program that they ran; programs must outlive them.
  int (*loop_create)(Context*, LoopHandle**, ApiError*);
  void (*loop_destroy)(LoopHandle*);
  int (*loop_begin)(LoopHandle*, const LoopSpec*, ApiError*);
  // Of the next row; waits for those before: see Loop::change().
  int (*loop_change)(LoopHandle*, float* change, ApiError*);
  // The next row, with its program or `instead` of it.
  int (*loop_enqueue)(LoopHandle*, bool skips, ApiError*);
  // The next row in two parts: see Loop::input() and apply().
  int (*loop_input)(LoopHandle*, bool skips, ApiError*);
  int (*loop_apply)(LoopHandle*, bool skips, ApiError*);
  int (*loop_wait)(LoopHandle*, int row, ApiError*);  // one of the last two

  // Tiles that were measured (tuning.h). tuning_set replaces the table; with `measures`, programs
  // made from here on measure what the table lacks. tuning_get copies as much of the table as fits
  // and returns its size.
  int (*tuning_set)(Context*, const char* text, bool measures, ApiError*);
  int (*tuning_get)(Context*, char* text, size_t capacity, size_t* size, ApiError*);

  // The device's own clock around what is enqueued between the two; time_end waits for it.
  int (*time_begin)(Context*, ApiError*);
  int (*time_end)(Context*, double* seconds, ApiError*);
};

}  // namespace deepcache::cuda

extern "C" const deepcache::cuda::Api* deepcache_cuda_api();

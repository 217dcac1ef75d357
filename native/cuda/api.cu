// The table of C functions. Exceptions end here, as codes and texts.

#include <algorithm>
#include <cstring>
#include <exception>
#include <string>

#include "cuda/api.h"
#include "cuda/loop.h"
#include "cuda/program.h"
#include "cuda_build.h"

namespace deepcache::cuda {

struct ProgramHandle {
  DeviceProgram program;
};

struct LoopHandle {
  DeviceLoop loop;
};

namespace {

void put(ApiError* error, ErrorCode code, const std::string& text) {
  if (!error) return;
  error->code = int(code);
  const size_t count = text.size() < sizeof error->text ? text.size() : sizeof error->text - 1;
  std::memcpy(error->text, text.data(), count);
  error->text[count] = 0;
}

template <typename Body>
int guarded(ApiError* error, const Body& body) {
  try {
    body();
    return 0;
  } catch (const Error& e) {
    put(error, e.code(), e.what());
  } catch (const std::bad_alloc&) {
    put(error, ErrorCode::kOutOfMemory, "out of memory");
  } catch (const std::exception& e) {
    put(error, ErrorCode::kInternal, e.what());
  }
  return 1;
}

int device_count(int* count, ApiError* error) {
  return guarded(error, [&] { *count = gpu::device_count(); });
}

int device_info(int device, DeviceInfo* info, ApiError* error) {
  return guarded(error, [&] {
    if (device < 0 || device >= gpu::device_count())
      throw Error(ErrorCode::kBackendUnavailable, "there is no GPU " + std::to_string(device));
    const gpu::Properties p = gpu::properties(device);
    gpu::use_device(device);
    *info = {};
    std::strncpy(info->name, p.name.c_str(), sizeof info->name - 1);
    info->major = p.major;
    info->minor = p.minor;
    info->multiprocessors = p.multiprocessors;
    info->driver = p.driver;
    info->memory_bytes = p.memory_bytes;
    info->free_bytes = gpu::free_memory();
  });
}

int context_create(int device, ActivationType type, bool fp8, Context** context, ApiError* error) {
  return guarded(error, [&] { *context = new Context(device, type, fp8); });
}

void context_destroy(Context* context) { delete context; }

int synchronize(Context* context, ApiError* error) {
  return guarded(error, [&] {
    context->enter();
    context->synchronize();
  });
}

void copy_out(const std::string& all, char* text, size_t capacity, size_t* size) {
  *size = all.size();
  std::copy_n(all.data(), std::min(capacity, all.size()), text);
}

int context_describe(Context* context, char* text, size_t capacity, size_t* size, ApiError* error) {
  return guarded(error, [&] { copy_out(context->describe(), text, capacity, size); });
}

bool context_folds(const Context* context) { return context->properties.folds; }

int memory_create(Context* context, size_t bytes, void** data, ApiError* error) {
  return guarded(error, [&] {
    context->enter();
    *data = gpu::allocate(bytes ? bytes : 1);
    gpu::fill(*data, 0, bytes, context->stream);
  });
}

void memory_destroy(Context* context, void* data) {
  guarded(nullptr, [&] {
    context->enter();
    gpu::release(data);
  });
}

int upload(Context* context, void* to, const void* from, size_t bytes, ApiError* error) {
  return guarded(error, [&] {
    context->enter();
    gpu::upload(to, from, bytes, context->stream);
  });
}

int download(Context* context, void* to, const void* from, size_t bytes, ApiError* error) {
  return guarded(error, [&] {
    context->enter();
    gpu::download(to, from, bytes, context->stream);
  });
}

int copy(Context* context, void* to, const void* from, size_t bytes, ApiError* error) {
  return guarded(error, [&] {
    context->enter();
    gpu::copy(to, from, bytes, context->stream);
  });
}

int program_create(Context* context, const ProgramSpec* spec, ProgramHandle** program,
                   ApiError* error) {
  return guarded(error, [&] {
    context->enter();
    *program = new ProgramHandle{DeviceProgram(*context, *spec)};
  });
}

void program_destroy(ProgramHandle* program) {
  if (!program) return;
  guarded(nullptr, [&] { program->program.context().enter(); });
  delete program;
}

int program_run(ProgramHandle* program, int step, int first, int last, ApiError* error) {
  return guarded(error, [&] {
    program->program.context().enter();
    program->program.run(step, first, last);
  });
}

const char* program_kernel(ProgramHandle* program, int op) { return program->program.kernel(op); }

int loop_create(Context* context, LoopHandle** loop, ApiError* error) {
  return guarded(error, [&] {
    context->enter();
    *loop = new LoopHandle{DeviceLoop(*context)};
  });
}

void loop_destroy(LoopHandle* loop) {
  if (!loop) return;
  guarded(nullptr, [&] { loop->loop.context().enter(); });
  delete loop;
}

int loop_begin(LoopHandle* loop, const LoopSpec* spec, ApiError* error) {
  return guarded(error, [&] {
    loop->loop.context().enter();
    std::vector<DeviceSegments> programs;
    for (int i = 0; i < spec->program_count; i++) {
      const SegmentPlace* place = spec->segments + spec->programs[i].first;
      DeviceSegments& segments = programs.emplace_back();
      for (int j = 0; j < spec->programs[i].count; j++, place++)
        segments.push_back({&place->program->program, place->first, place->last});
    }
    loop->loop.begin(*spec, programs);
  });
}

int loop_change(LoopHandle* loop, float* change, ApiError* error) {
  return guarded(error, [&] {
    loop->loop.context().enter();
    *change = loop->loop.change();
  });
}

int loop_enqueue(LoopHandle* loop, bool skips, ApiError* error) {
  return guarded(error, [&] {
    loop->loop.context().enter();
    loop->loop.enqueue(skips);
  });
}

int loop_input(LoopHandle* loop, bool skips, ApiError* error) {
  return guarded(error, [&] {
    loop->loop.context().enter();
    loop->loop.input(skips);
  });
}

int loop_apply(LoopHandle* loop, bool skips, ApiError* error) {
  return guarded(error, [&] {
    loop->loop.context().enter();
    loop->loop.apply(skips);
  });
}

int loop_wait(LoopHandle* loop, int row, ApiError* error) {
  return guarded(error, [&] {
    loop->loop.context().enter();
    loop->loop.wait(row);
  });
}

int tuning_set(Context* context, const char* text, bool measures, ApiError* error) {
  return guarded(error, [&] {
    context->tuning.read(text);
    context->tuning.measures = measures;
  });
}

int tuning_get(Context* context, char* text, size_t capacity, size_t* size, ApiError* error) {
  return guarded(error, [&] { copy_out(context->tuning.text(), text, capacity, size); });
}

int time_begin(Context* context, ApiError* error) {
  return guarded(error, [&] {
    context->enter();
    context->begin.record(context->stream);
  });
}

int time_end(Context* context, double* seconds, ApiError* error) {
  return guarded(error, [&] {
    context->enter();
    context->end.record(context->stream);
    *seconds = context->end.seconds_since(context->begin);
  });
}

constexpr Api kApi = {DEEPCACHE_CUDA_ABI, DEEPCACHE_CUDA_BUILD,
                      device_count,       device_info,
                      context_create,     context_destroy,
                      synchronize,        context_describe,
                      context_folds,      memory_create,
                      memory_destroy,     upload,
                      download,           copy,
                      program_create,     program_destroy,
                      program_run,        program_kernel,
                      loop_create,        loop_destroy,
                      loop_begin,         loop_change,
                      loop_enqueue,       loop_input,
                      loop_apply,         loop_wait,
                      tuning_set,         tuning_get,
                      time_begin,         time_end};

}  // namespace
}  // namespace deepcache::cuda

#if defined(_WIN32)
#define DEEPCACHE_EXPORT __declspec(dllexport)
#else
#define DEEPCACHE_EXPORT __attribute__((visibility("default")))
#endif

extern "C" DEEPCACHE_EXPORT const deepcache::cuda::Api* deepcache_cuda_api() {
  return &deepcache::cuda::kApi;
}

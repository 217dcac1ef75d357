#include "values.h"

#include <cstring>
#include <utility>

#include "classes.h"
#include "runtime/memory.h"

namespace deepcache::addon {
namespace {

// Smaller ones are not worth a look at the system's memory.
constexpr size_t kLarge = size_t(16) << 20;

template <typename T>
Napi::TypedArrayOf<T> copied(Napi::Env env, const std::vector<T>& values) {
  auto out = new_array<T>(env, values.size());
  if (!values.empty()) std::memcpy(out.Data(), values.data(), values.size() * sizeof(T));
  return out;
}

Napi::Array numbers(Napi::Env env, std::initializer_list<int> values) {
  Napi::Array out = Napi::Array::New(env, values.size());
  uint32_t i = 0;
  for (const int value : values) out[i++] = Napi::Number::New(env, value);
  return out;
}

}  // namespace

std::shared_ptr<Reservation> reserve_array(size_t bytes, std::shared_ptr<Reservation> run) {
  if (bytes < kLarge) return nullptr;
  auto reservation = Ledger::of("cpu").reserve(bytes, available_memory, std::move(run));
  if (!reservation) refuse_array(bytes);
  return reservation;
}

void refuse_array(size_t bytes) {
  throw Error(ErrorCode::kOutOfMemory,
              "an array of " + format_bytes(bytes) + " does not fit into memory");
}

Napi::ArrayBuffer new_buffer(Napi::Env env, size_t bytes) {
  const auto reservation = reserve_array(bytes);
  // napi_create_arraybuffer ends the process when there is no memory; the constructor throws.
  Napi::Value buffer;
  try {
    buffer = Classes::of(env).array_buffer.New({Napi::Number::New(env, double(bytes))});
  } catch (const Napi::Error&) {
    refuse_array(bytes);
  }
  return buffer.As<Napi::ArrayBuffer>();
}

Napi::Float32Array to_js(Napi::Env env, const std::vector<float>& values) {
  return copied(env, values);
}

Napi::Float64Array to_js(Napi::Env env, const std::vector<double>& values) {
  return copied(env, values);
}

Napi::Array to_js(Napi::Env env, const std::vector<int64_t>& values) {
  Napi::Array out = Napi::Array::New(env, values.size());
  for (uint32_t i = 0; i < values.size(); ++i) out[i] = Napi::Number::New(env, double(values[i]));
  return out;
}

Napi::Array to_js(Napi::Env env, const std::vector<std::string>& values) {
  Napi::Array out = Napi::Array::New(env, values.size());
  for (uint32_t i = 0; i < values.size(); ++i) out[i] = Napi::String::New(env, values[i]);
  return out;
}

Napi::Array to_nchw(Napi::Env env, const Shape& shape) {
  return numbers(env, {shape.n, shape.c, shape.h, shape.w});
}

void define(Napi::Object object, const char* name, napi_value value) {
  object.DefineProperty(Napi::PropertyDescriptor::Value(name, value, napi_enumerable));
}

Napi::Array to_js(Napi::Env env, const std::vector<TapCollector::Entry>& taps) {
  Napi::Array out = Napi::Array::New(env, taps.size());
  for (uint32_t i = 0; i < taps.size(); ++i) {
    const Shape& shape = taps[i].shape;
    Napi::Object tap = Napi::Object::New(env);
    tap["name"] = taps[i].name;
    tap["shape"] = numbers(env, {shape.n, shape.h, shape.w, shape.c});
    tap["data"] = to_js(env, taps[i].values);
    out[i] = tap;
  }
  return out;
}

}  // namespace deepcache::addon

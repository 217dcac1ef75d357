#include "values.h"

#include <cstring>

namespace deepcache::addon {
namespace {

template <typename Array, typename T>
Array copied(Napi::Env env, const std::vector<T>& values) {
  Array out = Array::New(env, values.size());
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

Napi::Float32Array to_js(Napi::Env env, const std::vector<float>& values) {
  return copied<Napi::Float32Array>(env, values);
}

Napi::Float64Array to_js(Napi::Env env, const std::vector<double>& values) {
  return copied<Napi::Float64Array>(env, values);
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

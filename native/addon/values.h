#pragma once

// JavaScript values made from native ones.

#include <napi.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "runtime/backend.h"
#include "runtime/ledger.h"

namespace deepcache::addon {

// Promises the memory of a large array until it is filled: the system gives more than it has. Null
// for a small one. What is left of `run` counts first. Throws Error(kOutOfMemory).
std::shared_ptr<Reservation> reserve_array(size_t bytes,
                                           std::shared_ptr<Reservation> run = nullptr);
[[noreturn]] void refuse_array(size_t bytes);

// Zeros. Throws Error(kOutOfMemory) where Node-API's own function would end the process: sizes may
// come from files and options.
Napi::ArrayBuffer new_buffer(Napi::Env env, size_t bytes);

template <typename T>
Napi::TypedArrayOf<T> new_array(Napi::Env env, size_t count) {
  return Napi::TypedArrayOf<T>::New(env, count, new_buffer(env, count * sizeof(T)), 0);
}

Napi::Float32Array to_js(Napi::Env env, const std::vector<float>& values);
Napi::Float64Array to_js(Napi::Env env, const std::vector<double>& values);
Napi::Array to_js(Napi::Env env, const std::vector<int64_t>& values);
Napi::Array to_js(Napi::Env env, const std::vector<std::string>& values);
// [n, c, h, w], PyTorch's order.
Napi::Array to_nchw(Napi::Env env, const Shape& shape);

// Bytes and counts: exact up to 2^53.
inline Napi::Number to_js(Napi::Env env, size_t value) {
  return Napi::Number::New(env, double(value));
}

// A property that JavaScript cannot change, nor confuse with what its prototype has.
void define(Napi::Object object, const char* name, napi_value value);

// Copies of a pass's labelled values.
class TapCollector {
 public:
  // Null unless `wanted`.
  explicit TapCollector(bool wanted) : wanted_(wanted) {}
  TapCollector(const TapCollector&) = delete;
  const Tap* tap() const { return wanted_ ? &tap_ : nullptr; }
  struct Entry {
    std::string name;
    Shape shape;
    std::vector<float> values;
  };
  std::vector<Entry> take() { return std::move(entries_); }

 private:
  bool wanted_;
  std::vector<Entry> entries_;
  Tap tap_ = [this](const std::string& name, const Shape& shape, const float* values) {
    entries_.push_back({name, shape, {values, values + shape.count()}});
  };
};

Napi::Array to_js(Napi::Env env, const std::vector<TapCollector::Entry>& taps);

}  // namespace deepcache::addon

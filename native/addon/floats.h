#pragma once

#include <napi.h>

#include <cstddef>
#include <memory>

namespace deepcache::addon {

// Values of a request: a block that is not cleared first, and that copies share.
class Floats {
 public:
  Floats() = default;
  // Memory of the run that jobs are being started for, if there is one. Throws Error(kOutOfMemory).
  Floats(Napi::Env env, size_t count);

  float* data() const { return data_.get(); }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const float* begin() const { return data(); }
  const float* end() const { return data() + size_; }

 private:
  std::shared_ptr<float[]> data_;
  size_t size_ = 0;
};

// Values that JavaScript hands to a request in parts, so that a copy of many does not hold the
// event loop up.
class NativeFloats : public Napi::ObjectWrap<NativeFloats> {
 public:
  static constexpr napi_type_tag kTypeTag = {0x64656570'63616368, 0x65000000'00000003};
  static Napi::Function define_class(Napi::Env env);
  // (count: number)
  explicit NativeFloats(const Napi::CallbackInfo& info);

  size_t size() const { return floats_.size(); }
  bool is_full() const { return filled_ == floats_.size(); }
  // They are the request's alone from then on: JavaScript cannot write to them any more.
  Floats take();

 private:
  void append(const Napi::CallbackInfo& info);

  Floats floats_;
  size_t filled_ = 0;
};

}  // namespace deepcache::addon

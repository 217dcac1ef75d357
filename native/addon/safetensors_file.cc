#include "safetensors_file.h"

#include <algorithm>

#include "arguments.h"
#include "errors.h"
#include "runtime/tensor_names.h"
#include "values.h"

namespace deepcache::addon {
namespace {

Napi::Object metadata_object(Napi::Env env, const SafetensorsFile& file) {
  Napi::Object out = Napi::Object::New(env);
  // Defined, not set: a key may be "__proto__". By value, not as C strings: it may hold a NUL.
  for (const auto& [key, value] : file.metadata())
    out.DefineProperty(Napi::PropertyDescriptor::Value(
        Napi::String::New(env, key), Napi::String::New(env, value), napi_enumerable));
  return out;
}

Napi::Array tensor_list(Napi::Env env, const SafetensorsFile& file) {
  const auto& tensors = file.tensors();
  Napi::Array out = Napi::Array::New(env, tensors.size());
  for (uint32_t i = 0; i < tensors.size(); ++i) {
    const Napi::HandleScope scope(env);
    Napi::Object tensor = Napi::Object::New(env);
    tensor["name"] = tensors[i].name;
    tensor["dtype"] = tensors[i].dtype;
    tensor["shape"] = to_js(env, tensors[i].shape);
    tensor["offset"] = to_js(env, tensors[i].offset);
    tensor["bytes"] = to_js(env, tensors[i].bytes);
    out[i] = tensor;
  }
  return out;
}

}  // namespace

Napi::Function NativeSafetensorsFile::define_class(Napi::Env env) {
  return DefineClass(env, "SafetensorsFile",
                     {InstanceMethod<&NativeSafetensorsFile::read>("read")});
}

NativeSafetensorsFile::NativeSafetensorsFile(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  guarded(info.Env(), [&] {
    file_ = SafetensorsFile::open(Argument(info[0], "path").path());
    const Napi::Env env = info.Env();
    const auto object = info.This().As<Napi::Object>();
    define(object, "path", Napi::String::New(env, file_->path()));
    define(object, "metadata", metadata_object(env, *file_));
    define(object, "tensors", tensor_list(env, *file_));
  });
}

Napi::Value NativeSafetensorsFile::read(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Argument argument(info[0], "name");
    const std::string name = argument.string();
    const auto& tensors = file_->tensors();
    const auto found = std::find_if(tensors.begin(), tensors.end(),
                                    [&](const TensorInfo& tensor) { return tensor.name == name; });
    if (found == tensors.end())
      argument.fail("the name of a tensor in " + file_->path(), "\"" + name + "\"");
    auto out = new_buffer(info.Env(), found->bytes);
    if (found->bytes) file_->read(*found, out.Data());
    return out;
  });
}

Napi::Value match_tensors(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    constexpr size_t kMost = 1'000'000;
    const Napi::Env env = info.Env();
    TensorNames names;
    for (const Argument& name : Argument(info[0], "stored").elements(kMost)) {
      const Napi::HandleScope scope(env);
      names.add(name.string());
    }
    const std::vector<Argument> wanted = Argument(info[1], "wanted").elements(kMost);
    Napi::Array out = Napi::Array::New(env, wanted.size());
    for (uint32_t i = 0; i < wanted.size(); ++i) {
      const Napi::HandleScope scope(env);
      const std::string* found = names.find(wanted[i].string());
      out[i] = found ? Napi::Value(Napi::String::New(env, *found)) : env.Undefined();
    }
    return out;
  });
}

}  // namespace deepcache::addon

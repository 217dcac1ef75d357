#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "classes.h"
#include "errors.h"
#include "model_slot.h"
#include "model_source.h"

namespace deepcache::addon {

// What the classes of loaded models share: how they are made, memory(), readWeight() and
// dispose(). `Self` has
//
//   kName, kLoad, kClass            "Unet", "loadUnet()", its member of Classes
//   make(source, weights, backend)  the model, on a job's thread
//   describe(object, model)         defines the object's properties
//   count_memory(object, model)     fills what memory() returns; a job may be using the model
//   methods()                       of its own
template <typename Self, typename Model>
class ModelObject : public Napi::ObjectWrap<Self> {
 public:
  static Napi::Function define_class(Napi::Env env) {
    using Wrap = Napi::ObjectWrap<Self>;
    auto methods = Self::methods();
    methods.push_back(Wrap::InstanceMethod(
        "memory", static_cast<typename Wrap::InstanceMethodCallback>(&ModelObject::memory)));
    methods.push_back(Wrap::InstanceMethod(
        "readWeight",
        static_cast<typename Wrap::InstanceMethodCallback>(&ModelObject::read_weight)));
    methods.push_back(Wrap::InstanceMethod(
        "dispose", static_cast<typename Wrap::InstanceVoidMethodCallback>(&ModelObject::dispose)));
    return Wrap::DefineClass(env, Self::kName, methods);
  }

  // (backend, source) -> Job<Self>
  static Napi::Value load(const Napi::CallbackInfo& info) {
    return load_job<Model>(info, Self::make, wrap);
  }

  explicit ModelObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Self>(info) {
    guarded(info.Env(), [&] { Classes::of(info.Env()).require_creating(Self::kLoad); });
  }

 protected:
  using Methods = std::vector<Napi::ClassPropertyDescriptor<Self>>;

  std::shared_ptr<Model> model() const { return slot_->model(); }
  ModelSlot<Model>& slot() { return *slot_; }
  // The Job of lib/native/types.ts; see ModelSlot::start().
  Napi::Value start(Napi::Env env, std::function<Finish(Model&, JobContext&)> work,
                    Napi::Function on_progress = {}, bool joins = false) {
    return slot_->start(env, std::move(work), on_progress, joins).object(env);
  }

 protected:
  static Napi::Value wrap(Napi::Env env, std::shared_ptr<Model> model) {
    Classes& classes = Classes::of(env);
    Napi::Object object;
    ModelObject& self = classes.create<Self>(classes.*Self::kClass, &object);
    Self::describe(object, *model);
    self.slot_.emplace(std::move(model));
    return object;
  }

 private:
  Napi::Value memory(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&]() -> Napi::Value {
      Napi::Object out = Napi::Object::New(info.Env());
      Self::count_memory(out, *model());
      return out;
    });
  }

  Napi::Value read_weight(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&]() -> Napi::Value {
      const std::string name = Argument(info[0], "name").string();
      return start(info.Env(), [name](Model& model, JobContext& context) -> Finish {
        return context.hand_over(model.read_weight(name));
      });
    });
  }

  void dispose(const Napi::CallbackInfo&) { slot_->dispose(); }

  std::optional<ModelSlot<Model>> slot_;
};

}  // namespace deepcache::addon

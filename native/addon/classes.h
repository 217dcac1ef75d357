#pragma once

// What every wrapped class has: a type tag, and a constructor that an environment (the main thread
// or a worker) remembers.

#include <napi.h>

#include <memory>
#include <string>

#include "arguments.h"
#include "runtime/error.h"
#include "runtime/ledger.h"

namespace deepcache::addon {

class Doorbell;

// The constructors of objects that only native code makes.
struct Classes {
  Napi::FunctionReference unet, text_encoder, image_encoder, ip_adapter, t2i_adapter, vae, upscaler,
      inception;
  Napi::FunctionReference array_buffer;  // JavaScript's own
  Napi::FunctionReference error;         // DeepCacheError of lib/errors.ts; empty until it was told
  // Of the run that jobs are being started for; null without one.
  std::shared_ptr<Reservation> reservation;
  Doorbell* doorbell = nullptr;  // its own thread-safe function deletes it
  bool creating = false;         // native code is calling one of them

  static Classes& of(Napi::Env env) { return *env.GetInstanceData<Classes>(); }

  template <typename T>
  T& create(const Napi::FunctionReference& constructor, Napi::Object* object) {
    creating = true;
    *object = constructor.New({});
    return *T::Unwrap(*object);
  }

  // At the beginning of such a constructor.
  void require_creating(const char* how) {
    if (!creating)
      throw Error(ErrorCode::kInvalidArgument,
                  std::string("this class has no public constructor; use ") + how);
    creating = false;
  }
};

// The object of class T behind an argument: anything else is refused, not reinterpreted.
template <typename T>
T& unwrap(const Argument& argument, const char* expectation) {
  if (!argument.value().IsObject() ||
      !argument.value().As<Napi::Object>().CheckTypeTag(&T::kTypeTag))
    argument.fail(expectation);
  return *T::Unwrap(argument.value().As<Napi::Object>());
}

}  // namespace deepcache::addon

#pragma once

// The border of exceptions: what the runtime throws becomes a DeepCacheError.

#include <napi.h>

#include <exception>
#include <utility>

#include "runtime/error.h"

namespace deepcache::addon {

// setErrorClass(class): what errors are made with, `new class(code, message)`, in this environment.
// The addon may be shared by several copies of the package's modules: the last one's counts. Before
// it was told, errors are plain ones with a `code`.
Napi::Value set_error_class(const Napi::CallbackInfo& info);

// deepcache::Error keeps its code; a failed allocation is ERR_DEEPCACHE_OUT_OF_MEMORY; what
// JavaScript itself threw (a getter of an argument) stays as it is; anything else is
// ERR_DEEPCACHE_INTERNAL.
Napi::Error to_js_error(Napi::Env env, std::exception_ptr error);

// The body of everything that JavaScript calls.
template <typename Body>
auto guarded(Napi::Env env, Body&& body) {
  try {
    return body();
  } catch (...) {
    throw to_js_error(env, std::current_exception());
  }
}

}  // namespace deepcache::addon

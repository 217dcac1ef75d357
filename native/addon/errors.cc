#include "errors.h"

#include <new>
#include <string>

#include "arguments.h"
#include "classes.h"

namespace deepcache::addon {
namespace {

Napi::Error coded(Napi::Env env, ErrorCode code, const std::string& message) {
  const auto name = Napi::String::New(env, error_code_name(code));
  const auto& error_class = Classes::of(env).error;
  if (!error_class.IsEmpty())
    return {env, error_class.New({name, Napi::String::New(env, message)})};
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", name);
  return error;
}

}  // namespace

Napi::Error to_js_error(Napi::Env env, std::exception_ptr error) {
  try {
    std::rethrow_exception(error);
  } catch (const Napi::Error& from_js) {
    return from_js;
  } catch (const Error& known) {
    return coded(env, known.code(), known.what());
  } catch (const std::bad_alloc&) {
    return coded(env, ErrorCode::kOutOfMemory, "a memory allocation failed");
  } catch (const std::exception& unexpected) {
    return coded(env, ErrorCode::kInternal, std::string("internal error: ") + unexpected.what());
  } catch (...) {
    return coded(env, ErrorCode::kInternal, "internal error: an unknown exception");
  }
}

Napi::Value set_error_class(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Napi::Function given = Argument(info[0], "errorClass").function();
    Classes::of(info.Env()).error = Napi::Persistent(given);
    return info.Env().Undefined();
  });
}

}  // namespace deepcache::addon

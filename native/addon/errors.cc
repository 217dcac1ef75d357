#include "errors.h"

#include <new>
#include <string>

namespace deepcache::addon {
namespace {

Napi::Error coded(Napi::Env env, ErrorCode code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, error_code_name(code)));
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

}  // namespace deepcache::addon

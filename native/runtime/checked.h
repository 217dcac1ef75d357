#pragma once

// Sizes that follow from files and requests are multiplied and added as Checked numbers: what does
// not fit its type is an error that names it, never a number that has wrapped.

#include <concepts>
#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "error.h"

namespace deepcache {

// A number that is not below 0. What has once failed to fit never fits again.
template <std::integral T>
class Checked {
 public:
  template <std::integral U>
  Checked(U value) {
    if (std::cmp_greater_equal(value, 0) && std::in_range<T>(value)) value_ = T(value);
  }

  Checked operator*(Checked other) const {
    if (!fits() || !other.fits() || (*other.value_ != 0 && *value_ > kMax / *other.value_))
      return {};
    return T(*value_ * *other.value_);
  }
  Checked operator+(Checked other) const {
    if (!fits() || !other.fits() || *value_ > kMax - *other.value_) return {};
    return T(*value_ + *other.value_);
  }

  bool fits() const { return value_.has_value(); }
  // Throws Error(kInvalidArgument) when it does not fit; `what` names the number.
  T value(const std::string& what) const {
    if (!fits())
      throw Error(ErrorCode::kInvalidArgument,
                  what + " is out of range: at most " + std::to_string(kMax) + " can be");
    return *value_;
  }

 private:
  static constexpr T kMax = std::numeric_limits<T>::max();

  Checked() = default;

  std::optional<T> value_;
};

using Extent = Checked<int>;    // of a value's axes; rows, strides
using Count = Checked<size_t>;  // values, bytes

}  // namespace deepcache

#include "runtime/halves.h"

#include <bit>
#include <cmath>
#include <vector>

#include "runtime/half.h"
#include "test.h"

namespace deepcache::test {
namespace {

// All halves at once, and pieces of odd sizes at odd places: whichever instruction does it.
TEST(halves_widen_exactly) {
  std::vector<uint16_t> halves(65536);
  for (size_t i = 0; i < halves.size(); i++) halves[i] = uint16_t(i);
  const auto agrees = [&](size_t first, size_t count) {
    std::vector<float> floats(count + 1, 7.0f);
    halves_to_floats(&halves[first], count, floats.data());
    for (size_t i = 0; i < count; i++) {
      const float wanted = half_to_float(halves[first + i]);
      const bool same = std::bit_cast<uint32_t>(floats[i]) == std::bit_cast<uint32_t>(wanted);
      if (!same && !(std::isnan(floats[i]) && std::isnan(wanted))) return false;
    }
    return floats[count] == 7.0f;
  };
  CHECK(agrees(0, halves.size()));
  for (size_t count = 0; count < 20; count++) CHECK(agrees(3 * count + 1, count));
}

}  // namespace
}  // namespace deepcache::test

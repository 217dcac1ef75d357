// T2I-Adapters: the sizes of what they give, and which U-Nets they fit.

#include "control_checks.h"
#include "runtime/error.h"
#include "t2i_adapter_checks.h"

namespace deepcache::test {
namespace {

size_t values(int channels, int side) { return size_t(2) * channels * side * side; }

std::string refusal(const T2iAdapterConfig& adapter, const UnetConfig& unet) {
  try {
    require_fit(adapter, unet);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "";
}

}  // namespace

TEST(t2i_adapter_halves_from_level_to_level) {
  const auto full = t2i_features("full_adapter", make_cpu_backend(1), 12);
  CHECK_EQ(full.size(), size_t(3));
  CHECK_EQ(full[0].size(), values(8, 6));
  CHECK_EQ(full[1].size(), values(16, 3));
  CHECK_EQ(full[2].size(), values(16, 2));  // rounded up
  const auto xl = t2i_features("full_adapter_xl", make_cpu_backend(1), 12);
  CHECK_EQ(xl[1].size(), values(16, 6));
  CHECK_EQ(xl[2].size(), values(16, 3));
  const auto light = t2i_features("light_adapter", make_cpu_backend(1), 12);
  CHECK_EQ(light.size(), size_t(4));
  CHECK_EQ(light[3].size(), values(16, 1));
}

TEST(t2i_adapter_takes_whole_squares) {
  const T2iAdapterConfig config = t2i_test_config("full_adapter");
  CHECK_THROWS(plan_t2i_adapter(config, 1, 11, 12), ErrorCode::kInvalidArgument);
}

TEST(t2i_adapter_fits_a_unet_of_its_levels) {
  const UnetConfig unet = control_test_config("");  // two levels, 8 and 16
  T2iAdapterConfig adapter = t2i_test_config("full_adapter");
  CHECK(refusal(adapter, unet).find("sizes") != std::string::npos);  // the mid block has its own
  adapter.channels = {8, 16};
  CHECK_EQ(require_fit(adapter, unet), 2);
  adapter.channels = {8, 12};
  CHECK(refusal(adapter, unet).find("12 channels") != std::string::npos);
  adapter.channels = {8};
  CHECK(refusal(adapter, unet).find("1 features") != std::string::npos);
  adapter.channels = {8, 16};
  CHECK(refusal(adapter, control_test_config("ControlNetModel")) != "");
}

}  // namespace deepcache::test

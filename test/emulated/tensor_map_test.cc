// The requirements on tensor maps as cuda.h documents them, one by one: a good map with one thing
// changed. What native/cuda asks of itself (quick_tensor_maps_are_checked) is another list.

#include <functional>
#include <stdexcept>

#include "cuda/gpu.h"
#include "native/test.h"

namespace deepcache::test {
namespace {

// What cuTensorMapEncodeTiled and -Im2col are given: 2 pictures of 16 x 24 pixels of 64 halves.
struct Call {
  std::vector<uint64_t> dim = {64, 24, 16, 2};
  std::vector<uint64_t> strides = {128, 24 * 128, 16 * 24 * 128};
  std::vector<uint32_t> box = {64, 8, 4, 1};
  std::vector<uint32_t> every = {1, 1, 1, 1};
  int value_bytes = 2, swizzle = 3;
  unsigned rank = 4;
  size_t offset = 0;  // bytes
  std::vector<int> lower = {-1, -1}, upper = {-1, -1};
  uint32_t channels = 64, pixels = 128;
};

const cuda::gpu::Memory& memory() {
  static const cuda::gpu::Memory all(size_t(1) << 20);
  return all;
}

bool accepts(const Call& call, bool im2col) {
  const emulator::MapTensor tensor{
      call.value_bytes, call.rank,           memory().data() + call.offset,
      call.dim.data(),  call.strides.data(), call.every.data(),
      call.swizzle};
  CUtensorMap map;
  try {
    if (im2col)
      emulator::encode_im2col(map, tensor,
                              {call.lower.data(), call.upper.data(), call.channels, call.pixels});
    else
      emulator::encode_tiled(map, tensor, call.box.data());
  } catch (const std::runtime_error&) {
    return false;
  }
  return true;
}

using Change = std::function<void(Call&)>;

bool tiled(const Change& change) {
  Call call;
  change(call);
  return accepts(call, false);
}
bool im2col(const Change& change) {
  Call call;
  change(call);
  return accepts(call, true);
}

}  // namespace

TEST(quick_tensor_map_rules_of_both) {
  for (const auto& accepted : {tiled, im2col}) {
    CHECK(accepted([](Call&) {}));
    CHECK(!accepted([](Call& c) { c.rank = 0; }));
    CHECK(!accepted([](Call& c) { c.rank = 6; }));
    CHECK(!accepted([](Call& c) { c.offset = 8; }));
    CHECK(accepted([](Call& c) { c.offset = 16; }));
    CHECK(!accepted([](Call& c) { c.dim[2] = 0; }));
    CHECK(!accepted([](Call& c) { c.dim[3] = (uint64_t(1) << 32) + 1; }));
    CHECK(!accepted([](Call& c) { c.strides[0] = 136; }));
    CHECK(!accepted([](Call& c) { c.strides[2] = uint64_t(1) << 40; }));
    CHECK(!accepted([](Call& c) { c.every[1] = 0; }));
    CHECK(!accepted([](Call& c) { c.every[1] = 9; }));
    CHECK(accepted([](Call& c) { c.every[1] = 8; }));
  }
  CHECK(!tiled([](Call& c) { c.strides[2] = 1 << 20; }));  // reaches outside of the buffer
}

TEST(quick_tensor_map_rules_of_boxes) {
  CHECK(tiled([](Call& c) { c.box[1] = 256; }));
  CHECK(!tiled([](Call& c) { c.box[1] = 257; }));
  CHECK(!tiled([](Call& c) { c.box[1] = 0; }));
  CHECK(!tiled([](Call& c) { c.box[0] = 60; }));  // 120 bytes
  CHECK(!tiled([](Call& c) { c.box[0] = 128; }));
  CHECK(tiled([](Call& c) { c.box[0] = 128, c.swizzle = 0; }));
  CHECK(tiled([](Call& c) { c.box[0] = 32, c.swizzle = 2; }));
  CHECK(!tiled([](Call& c) { c.box[0] = 32, c.swizzle = 1; }));
  CHECK(tiled([](Call& c) { c.box[0] = 32, c.value_bytes = 4; }));
  CHECK(!tiled([](Call& c) { c.value_bytes = 4; }));
}

TEST(quick_tensor_map_rules_of_im2col) {
  CHECK(im2col([](Call& c) { c.lower = {-128, 127}, c.upper = {127, 127}; }));
  CHECK(!im2col([](Call& c) { c.lower[0] = -129; }));
  CHECK(!im2col([](Call& c) { c.upper[1] = 128; }));
  CHECK(!im2col([](Call& c) { c.rank = 2; }));
  CHECK(!im2col([](Call& c) { c.channels = 257, c.swizzle = 0; }));
  CHECK(!im2col([](Call& c) { c.channels = 256; }));
  CHECK(!im2col([](Call& c) { c.pixels = 1025; }));
  CHECK(im2col([](Call& c) { c.pixels = 1024; }));
  CHECK(!im2col([](Call& c) { c.upper[0] = -25; }));  // no base pixel is left
}

}  // namespace deepcache::test

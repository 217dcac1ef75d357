// The emulator's copies by tensor maps against plain loops.

#include "halves.h"
#include "native/test.h"

namespace deepcache::test {
namespace {

using namespace cuda;
using cuda::gpu::Im2col;
using cuda::gpu::MapAxis;
using cuda::gpu::Swizzle;
using emulator::Async;

// All values of a box as they lie in shared memory.
struct LoadArgs {
  Half* out;
  int values;  // in a box
  bool im2col;
  int at[4], offsets[2];
};

void load_kernel(const TensorMap map, LoadArgs args) {
  wait_for_previous_grid();
  DYNAMIC_SHARED(shared);
  SHARED_ARRAY(uint64_t, barrier, 1);
  if (threadIdx.x == 0) {
    mbarrier_init(barrier, 1);
    mbarrier_init_fence();
    mbarrier_arrive_expect(barrier, args.values * 2);
    const int* c = args.at;
    if (args.im2col)
      tma_load_im2col_4d(shared, &map, barrier, c[0], c[1], c[2], c[3], args.offsets[0],
                         args.offsets[1]);
    else
      tma_load_4d(shared, &map, barrier, c[0], c[1], c[2], c[3]);
  }
  __syncthreads();
  mbarrier_wait(barrier, 0);
  for (int i = int(threadIdx.x); i < args.values; i += int(blockDim.x))
    args.out[i] = reinterpret_cast<Half*>(shared)[i];
}

// A cluster of two blocks, each of which loads one image of a box to both.
void cluster_kernel(const TensorMap map, Half* out, int values) {
  wait_for_previous_grid();
  DYNAMIC_SHARED(shared);
  SHARED_ARRAY(uint64_t, barriers, 2);
  uint64_t *const full = &barriers[0], *const read = &barriers[1];
  if (threadIdx.x == 0) {
    mbarrier_init(full, 1);
    mbarrier_init(read, 2);
    mbarrier_init_fence();
  }
  cluster_arrive();
  cluster_wait();
  const int rank = int(blockIdx.x), image = values / 2;
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect(full, values * 2);
    tma_load_2d_to_cluster(shared + rank * image * 2, &map, full, 3, 0, rank);
  }
  mbarrier_wait(full, 0);
  for (int i = int(threadIdx.x); i < values; i += int(blockDim.x))
    out[rank * values + i] = reinterpret_cast<Half*>(shared)[i];
  // Neither block ends before both have come here.
  if (threadIdx.x < 2) mbarrier_arrive_in_cluster(read, int(threadIdx.x));
  mbarrier_wait_cluster(read, 0);
  cluster_arrive();
  cluster_wait();
}

// Where value `column` of a row lies, in values, by the rule of the PTX manual's figures: 16-byte
// chunks of a row of `span` bytes are xored with the number of the row, counted in 128 bytes.
size_t swizzled_place(size_t row, size_t column, size_t row_values, Swizzle swizzle) {
  const size_t byte = (row * row_values + column) * 2;
  const size_t chunks = size_t(1) << int(swizzle);  // in the span
  const size_t chunk = byte / 16, line = byte / 128;
  return ((chunk ^ (swizzle == Swizzle::none ? 0 : line % chunks)) * 16 + byte % 16) / 2;
}

// A tensor of channels x w x h x n.
struct Picture {
  int c = 64, w = 7, h = 5, n = 2;
  Halves values{size_t(c) * w * h * n, 7};
  float at(int channel, int x, int y, int image) {
    if (channel < 0 || channel >= c || x < 0 || x >= w || y < 0 || y >= h || image < 0 ||
        image >= n)
      return 0;
    return values[((size_t(image) * h + y) * w + x) * c + channel];
  }
  std::vector<MapAxis> axes(int box_c, int box_w, int box_h, int box_n, int stride = 1) const {
    return {axis(c, 1, box_c), axis(w, c, box_w, stride), axis(h, c * w, box_h, stride),
            axis(n, c * w * h, box_n)};
  }
};

void check_tiled(Async async, Swizzle swizzle, int stride) {
  const Emulation emulation(3, async);
  Picture picture;
  const int box_c = swizzle == Swizzle::none ? 24 : 8 << int(swizzle), box_w = 3, box_h = 4;
  const LoadArgs base{nullptr, box_c * box_w * box_h * 2, false, {0, -1, 2, 1}, {}};
  for (const int channel : {0, 48, 8}) {
    Halves out(size_t(base.values));
    LoadArgs args = base;
    args.out = out.data();
    args.at[0] = channel;
    const TensorMap map = gpu::tiled_map(gpu::MapType::half, picture.values.data(),
                                         picture.axes(box_c, box_w, box_h, 2, stride), swizzle);
    gpu::launch(load_kernel, dim3(1), dim3(64), size_t(args.values) * 2, nullptr, map, args);
    for (int row = 0; row < box_w * box_h * 2; row++)
      for (int i = 0; i < box_c; i++) {
        const float expected =
            picture.at(channel + i, -1 + row % box_w * stride, 2 + row / box_w % box_h * stride,
                       1 + row / box_w / box_h);
        CHECK_EQ(out[swizzled_place(size_t(row), size_t(i), size_t(box_c), swizzle)], expected);
      }
  }
}

// A tap of a 3 x 3 filter with padding 1 over all pixels from the second output row on.
void check_im2col(Async async, int stride) {
  const Emulation emulation(5, async);
  Picture picture;
  const int pixels = 20, channels = 64;
  const int out_w = (picture.w - 1) / stride + 1, out_h = (picture.h - 1) / stride + 1;
  const TensorMap map =
      gpu::im2col_map(gpu::MapType::half, picture.values.data(), picture.axes(1, 1, 1, 1, stride),
                      Im2col{channels, pixels, -1, -1, -1, -1}, Swizzle::bytes128);
  for (const int tap_x : {0, 2})
    for (const int tap_y : {1, 2}) {
      Halves out(size_t(pixels) * channels);
      const LoadArgs args{
          out.data(), pixels * channels, true, {0, -1, stride - 1, 0}, {tap_x, tap_y}};
      gpu::launch(load_kernel, dim3(1), dim3(32), size_t(args.values) * 2, nullptr, map, args);
      for (int p = 0; p < pixels; p++) {
        const int number = out_w + p;  // of the output pixel
        const int x = number % out_w * stride - 1 + tap_x;
        const int y = number / out_w % out_h * stride - 1 + tap_y;
        for (int c = 0; c < channels; c++)
          CHECK_EQ(out[swizzled_place(size_t(p), size_t(c), 64, Swizzle::bytes128)],
                   picture.at(c, x, y, number / out_w / out_h));
      }
    }
}

struct StoreArgs {
  int values;  // in the box
  int at[4];
};

// Value i of the box, as it lies in shared memory, is i.
void store_kernel(const TensorMap map, StoreArgs args) {
  wait_for_previous_grid();
  DYNAMIC_SHARED(shared);
  for (int i = int(threadIdx.x); i < args.values; i += int(blockDim.x))
    reinterpret_cast<Half*>(shared)[i] = __float2half_rn(float(i));
  fence_async_proxy();
  __syncthreads();
  if (threadIdx.x) return;
  tma_store_4d(&map, shared, args.at[0], args.at[1], args.at[2], args.at[3]);
  tma_store_commit();
  tma_store_wait_all();
}

void check_store(Async async, Swizzle swizzle) {
  const Emulation emulation(2, async);
  Picture picture, before;
  const int box_c = swizzle == Swizzle::none ? 24 : 8 << int(swizzle), box_w = 3, box_h = 4;
  const StoreArgs args{box_c * box_w * box_h, {56, 5, -1, 1}};
  const TensorMap map = gpu::tiled_map(gpu::MapType::half, picture.values.data(),
                                       picture.axes(box_c, box_w, box_h, 1), swizzle);
  gpu::launch(store_kernel, dim3(1), dim3(32), size_t(args.values) * 2, nullptr, map, args);
  for (int y = 0; y < picture.h; y++)
    for (int x = 0; x < picture.w; x++)
      for (int c = 0; c < picture.c; c++) {
        const int i = c - args.at[0], row_x = x - args.at[1], row_y = y - args.at[2];
        const bool inside = i >= 0 && i < box_c && row_x >= 0 && row_x < box_w && row_y < box_h;
        const float expected = inside ? float(swizzled_place(size_t(row_y * box_w + row_x),
                                                             size_t(i), size_t(box_c), swizzle))
                                      : before.at(c, x, y, 1);
        CHECK_EQ(picture.at(c, x, y, 1), expected);
        CHECK_EQ(picture.at(c, x, y, 0), before.at(c, x, y, 0));
      }
}

}  // namespace

TEST(quick_tma_tiled_loads) {
  for (const Async async : {Async::late, Async::random, Async::at_issue})
    for (const Swizzle swizzle :
         {Swizzle::none, Swizzle::bytes32, Swizzle::bytes64, Swizzle::bytes128})
      for (const int stride : {1, 2}) check_tiled(async, swizzle, stride);
}

TEST(quick_tma_loads_to_a_cluster) {
  constexpr int kValues = 512;  // of a row
  Halves values(2 * kValues, 7);
  for (const Async async : {Async::late, Async::random, Async::at_issue}) {
    const Emulation emulation(4, async);
    Halves out(4 * kValues);
    const TensorMap map =
        gpu::tiled_map(gpu::MapType::half, values.data(),
                       {axis(kValues, 1, 256), axis(2, kValues, 1)}, Swizzle::none);
    gpu::launch_clusters(cluster_kernel, 2, dim3(2), dim3(64), 1024, nullptr, map, out.data(), 512);
    for (int block = 0; block < 2; block++)
      for (int i = 0; i < 512; i++)
        CHECK_EQ(out[size_t(block * 512 + i)], values[size_t(i / 256 * kValues + i % 256)]);
  }
}

TEST(quick_tma_im2col_loads) {
  for (const int stride : {1, 2})
    for (const Async async : {Async::late, Async::random}) check_im2col(async, stride);
}

TEST(quick_tma_stores) {
  for (const Async async : {Async::late, Async::random, Async::at_issue})
    for (const Swizzle swizzle : {Swizzle::none, Swizzle::bytes64, Swizzle::bytes128})
      check_store(async, swizzle);
}

// What the driver would refuse.
TEST(quick_tensor_maps_are_checked) {
  Picture picture;
  Half* const data = picture.values.data();
  const auto map = [&](const void* at, std::vector<MapAxis> axes, Swizzle swizzle) {
    gpu::tiled_map(gpu::MapType::half, at, axes, swizzle);
  };
  const std::vector<MapAxis> good = picture.axes(64, 3, 4, 1);
  map(data, good, Swizzle::bytes128);
  const auto with = [&](int i, MapAxis axis) {
    std::vector<MapAxis> axes = good;
    axes[size_t(i)] = axis;
    return axes;
  };
  CHECK_THROWS(map(data + 1, good, Swizzle::bytes128), ErrorCode::kInternal);
  CHECK_THROWS(map(data, good, Swizzle::bytes64), ErrorCode::kInternal);
  CHECK_THROWS(map(data, with(0, axis(64, 2, 64)), Swizzle::bytes128), ErrorCode::kInternal);
  CHECK_THROWS(map(data, with(0, axis(64, 1, 20)), Swizzle::bytes128), ErrorCode::kInternal);
  CHECK_THROWS(map(data, with(1, axis(7, 63, 3)), Swizzle::bytes128), ErrorCode::kInternal);
  CHECK_THROWS(map(data, with(1, axis(7, 64, 257)), Swizzle::bytes128), ErrorCode::kInternal);
  CHECK_THROWS(map(data, with(1, axis(7, 64, 129, 2)), Swizzle::bytes128), ErrorCode::kInternal);
  CHECK_THROWS(map(data, with(1, axis(7, 64, 3, 9)), Swizzle::bytes128), ErrorCode::kInternal);
  CHECK_THROWS(gpu::im2col_map(gpu::MapType::half, data, good, Im2col{64, 1025, -1, -1, -1, -1},
                               Swizzle::bytes128),
               ErrorCode::kInternal);
  CHECK_THROWS(gpu::im2col_map(gpu::MapType::half, data, good, Im2col{64, 64, -129, 0, 0, 0},
                               Swizzle::bytes128),
               ErrorCode::kInternal);
}

}  // namespace deepcache::test

#include "transfer.h"

#include "../runtime/weights.h"
#include "layout.h"

namespace deepcache {

std::vector<float> read_nchw(const Buffer& buffer, size_t n, size_t c, size_t pixels, Type type) {
  std::vector<float> rows(n * c * pixels), out(rows.size());
  std::vector<char> stored(rows.size() * bytes_of(type));
  buffer.download(stored.data(), stored.size());
  read_floats({type, {}, stored.data(), rows.size()}, 0, rows.size(), rows.data());
  nhwc_to_nchw(rows.data(), out.data(), n, c, pixels);
  return out;
}

void write_nchw(Buffer& buffer, const float* data, size_t n, size_t c, size_t pixels,
                size_t offset) {
  std::vector<float> rows(n * c * pixels);
  nchw_to_nhwc(data, rows.data(), n, c, pixels);
  buffer.upload(rows.data(), rows.size() * sizeof(float), offset);
}

}  // namespace deepcache

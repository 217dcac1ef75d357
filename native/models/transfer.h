#pragma once

// Values between the host's NCHW arrays and the device's NHWC buffers.

#include <vector>

#include "../runtime/backend.h"

namespace deepcache {

std::vector<float> read_nchw(const Buffer& buffer, size_t n, size_t c, size_t pixels,
                             Type type = Type::f32);
void write_nchw(Buffer& buffer, const float* data, size_t n, size_t c, size_t pixels,
                size_t offset = 0);

}  // namespace deepcache

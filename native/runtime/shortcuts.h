#pragma once

// Residuals that a backend may compute together with the convolution that adds them.

#include <functional>
#include <vector>

#include "ops.h"

namespace deepcache {

// Sets Conv::shortcut where a convolution's residual is a plain 1x1 convolution's output that
// nothing else reads, as in a resnet whose channel count changes. `is_seen(tensor)`: whether the
// tensor must be written all the same.
void find_shortcuts(std::vector<Op>& ops, const std::function<bool(int tensor)>& is_seen);

}  // namespace deepcache

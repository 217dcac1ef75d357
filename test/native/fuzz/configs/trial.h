#pragma once

#include <functional>
#include <string>

#include "test/native/config_corpus.h"

namespace deepcache::test {

enum class Outcome { refused, planned, computed, count };

// Does with a configuration what loading and running its model does. Throws what no configuration
// may lead to: errors of our own code, and anything but deepcache::Error.
Outcome try_config(ModelKind kind, const std::string& text,
                   const std::function<size_t(size_t below)>& random);

}  // namespace deepcache::test

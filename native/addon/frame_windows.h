#pragma once

#include "arguments.h"
#include "runtime/frame_windows.h"

namespace deepcache::addon {

// FrameWindows of lib/native/types.ts; none when it is left out.
FrameWindows parse_frame_windows(const Argument& in, int frames);

}  // namespace deepcache::addon

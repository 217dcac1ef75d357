#include "frame_windows.h"

#include <algorithm>
#include <string>

namespace deepcache::addon {

FrameWindows parse_frame_windows(const Argument& in, int frames) {
  FrameWindows out;
  if (!in.given()) return out;
  out.frames = frames;
  out.length = int(in["length"].integer(1, std::min(frames, FrameWindows::kMaxLength)));
  out.stride = int(in["stride"].integer(1, out.length));
  const Argument weighting = in["weighting"];
  const std::string name = weighting.string();
  using Weighting = FrameWindows::Weighting;
  if (name == "pyramid")
    out.weighting = Weighting::pyramid;
  else if (name == "flat")
    out.weighting = Weighting::flat;
  else if (name == "delayed_reverse_sawtooth")
    out.weighting = Weighting::delayed_reverse_sawtooth;
  else
    weighting.fail("'pyramid', 'flat' or 'delayed_reverse_sawtooth'", name);
  return out;
}

}  // namespace deepcache::addon

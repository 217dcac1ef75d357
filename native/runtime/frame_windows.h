#pragma once

// Overlapping windows of a video's frames, which motion modules see one by one in long videos (Qiu
// et al. 2023, FreeNoise; diffusers' FreeNoiseTransformerBlock).

#include <algorithm>
#include <cstdint>

namespace deepcache {

struct FrameWindows {
  // How much the frames of a window count where several give a frame.
  enum class Weighting : uint8_t { pyramid, flat, delayed_reverse_sawtooth };

  static constexpr int kMaxLength = 128;

  int frames = 0;  // of a video
  int length = 0;  // of a window, at most all frames and kMaxLength; 0: there are none
  int stride = 0;  // from one to the next, at most their length
  Weighting weighting = Weighting::pyramid;

  bool operator==(const FrameWindows&) const = default;
  explicit operator bool() const { return length > 0; }

  // Frames behind the last window of those that begin every stride: the last window of all, which
  // ends with the video, gives these only.
  int rest() const { return (frames - length) % stride; }
  int count() const { return (frames - length) / stride + 1 + (rest() > 0 ? 1 : 0); }
  int start(int window) const { return std::min(window * stride, frames - length); }
  // The first frame that a window gives, and the first that none before it has given.
  int first(int window) const { return is_rest(window) ? frames - rest() : start(window); }
  int first_new(int window) const { return window == 0 ? 0 : start(window - 1) + length; }

  float weight(int place) const {
    const int middle = (length + 1) / 2;
    switch (weighting) {
      case Weighting::flat:
        return 1;
      case Weighting::pyramid:
        return float(std::min(place + 1, length - place));
      default:
        return place < middle - 1 ? 0.01f : float(std::min(middle, length - place));
    }
  }

  // What the window's place counts in the mean over all windows that give its frame.
  float share(int window, int place) const {
    // As in the reference: by the weight of the first of them.
    if (is_rest(window)) return weight(place) / weight(length - rest());
    const int frame = start(window) + place;
    float sum = 0;
    for (int other = 0; other < count(); ++other)
      if (!is_rest(other) && start(other) <= frame && frame < start(other) + length)
        sum += weight(frame - start(other));
    return weight(place) / sum;
  }

 private:
  bool is_rest(int window) const { return rest() > 0 && window == count() - 1; }
};

}  // namespace deepcache

#include "noise_draws.h"

#include <algorithm>
#include <string>
#include <vector>

#include "classes.h"
#include "generator.h"

namespace deepcache::addon {
namespace {

constexpr size_t kMaxDraws = 100'000;

// [channels, frames, pixels] of each sample -> [frames, channels, pixels].
void to_frames(const DrawShape& shape, float* values) {
  const auto [samples, channels, frames, pixels] = shape;
  if (frames == 1) return;
  const std::vector<float> drawn(values, values + shape.count());
  for (size_t i = 0; i < samples * channels * frames; ++i) {
    const size_t frame = i % frames, channel = i / frames % channels,
                 sample = i / frames / channels;
    std::copy_n(drawn.data() + i * pixels, pixels,
                values + ((sample * frames + frame) * channels + channel) * pixels);
  }
}

// Makes draws with one generator for the whole batch, or with one for each sample.
struct Drawing {
  std::vector<Generator> generators;
  std::vector<bool> used;  // draws that nobody uses are made, and dropped
  DrawShape shape;
  size_t next = 0;

  void operator()(float* out) {
    for (; !used[next]; next++) draw(out);
    draw(out);
    to_frames(shape, out);
    next++;
  }
  void draw(float* out) {
    if (generators.size() == 1) return generators[0].randn(out, shape.count());
    const size_t each = shape.each();
    for (size_t i = 0; i < shape.samples; ++i) generators[i].randn(out + i * each, each);
  }
};

}  // namespace

void parse_noise(const Argument& in, const DrawShape& shape, UnetDenoise& out) {
  const size_t batch = shape.samples;
  if (in.is_floats()) {
    const size_t each = shape.count();
    const Floats draws = in.floats_of_multiple({batch, shape.channels, shape.frames, shape.pixels});
    out.draws = int(draws.size() / each);
    out.draw_noise = [draws, shape, each, next = size_t(0)](float* to) mutable {
      std::copy_n(draws.data() + next++ * each, each, to);
      to_frames(shape, to);
    };
    return;
  }
  Drawing drawing{{}, {}, shape};
  const Argument generators = in["generators"], used = in["used"];
  for (const Argument& generator : generators.elements(batch))
    drawing.generators.push_back(
        unwrap<NativeGenerator>(generator, "a Generator made by this addon").generator());
  if (drawing.generators.size() != 1 && drawing.generators.size() != batch)
    generators.fail("an array of 1 or " + std::to_string(batch) + " generators",
                    std::to_string(drawing.generators.size()));
  for (const Argument& draw : used.elements(kMaxDraws)) {
    drawing.used.push_back(draw.boolean());
    out.draws += drawing.used.back() ? 1 : 0;
  }
  out.draw_noise = std::move(drawing);
}

}  // namespace deepcache::addon

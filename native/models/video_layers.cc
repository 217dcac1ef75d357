#include "video_layers.h"

#include <cmath>

#include "../runtime/checked.h"

namespace deepcache {

MixFactors read_mix_factors(const WeightSource& source) {
  MixFactors factors;
  for (const std::string& name : source.names()) {
    if (!name.ends_with(".mix_factor")) continue;
    const SourceTensor* tensor = source.find(name);
    if (tensor && tensor->count == 1) read_floats(*tensor, 0, 1, &factors[name]);
  }
  return factors;
}

float first_share(Recorder& record, const MixFactors& factors, const std::string& name) {
  const std::string factor = name + ".time_mixer.mix_factor";
  record.vector({factor}, {1});
  const auto found = factors.find(factor);
  return 1 / (1 + std::exp(found == factors.end() ? 0.0f : -found->second));
}

Tensor frames_as_rows(Tensor x, int frames) {
  x.shape = {x.shape.n / frames, frames, x.shape.h * x.shape.w, x.shape.c};
  return x;
}

Tensor temporal_resnet(Recorder& record, const std::string& name, Tensor x,
                       const TemporalResnetOptions& o) {
  const GroupNormOptions norm{.groups = o.groups, .epsilon = o.epsilon, .silu = true};
  const Tensor in = frames_as_rows(x, o.frames);
  const int channels = in.shape.c;
  // All frames of a video have the same time: the first one's projection stands for them.
  Tensor row = o.row;
  if (row && row.shape.n > 1)
    row.shape = {in.shape.n, 1, 1,
                 (Extent(o.frames) * row.shape.c).value("a video's time projections")};
  Tensor h = record.group_norm(in, name + ".norm1", norm);
  h = record.conv(
      h, name + ".conv1",
      {.out = channels, .kernel = 3, .row = row, .row_offset = o.row_offset, .column = true});
  h = record.group_norm(h, name + ".norm2", norm);
  h = record.conv(h, name + ".conv2",
                  {.out = channels, .kernel = 3, .residual = in, .column = true, .scale = o.share});
  h.shape = x.shape;
  return h;
}

}  // namespace deepcache

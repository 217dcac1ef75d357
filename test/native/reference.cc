#include "reference.h"

#include <algorithm>
#include <cmath>

namespace deepcache::test {
namespace {

double activate(Activation activation, double x) {
  switch (activation) {
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::gelu:
      return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case Activation::quick_gelu:
      return x / (1 + std::exp(-1.702 * x));
    default:
      return x;
  }
}

class Runner {
 public:
  explicit Runner(ReferenceState& state) : state_(state) {}

  void conv(const Conv& op) {
    const Shape &x = op.x.shape, &y = op.y.shape;
    const auto &in = get(op.x), &in2 = get(op.x2), &row = get(op.row), &residual = get(op.residual);
    const auto &weight = state_.weights.at(op.weight), &bias = parameter(op.bias);
    const bool geglu = op.activation == Activation::geglu;
    const int c2 = op.x2 ? op.x2.shape.c : 0, inputs = x.c + c2;
    const int outputs = geglu ? 2 * y.c : y.c, taps = op.kernel_h * op.kernel_w;
    const bool rows_only = taps == 1 && op.stride == 1 && !op.upsample;
    const int height = op.upsample ? std::min(2 * x.h, y.h) : x.h;
    const int width = op.upsample ? std::min(2 * x.w, y.w) : x.w;
    auto& out = output(op.y);
    std::vector<double> sums(outputs);
    for (size_t pixel = 0; pixel < y.rows(); pixel++) {
      const int n = int(pixel / (size_t(y.h) * y.w));
      const int i = int(pixel / y.w) % y.h, j = int(pixel % y.w);
      for (int o = 0; o < outputs; o++) sums[o] = bias.empty() ? 0 : bias[o];
      for (int t = 0; t < taps; t++) {
        size_t source = pixel;
        if (!rows_only) {
          const int sy = i * op.stride - op.pad_top + t / op.kernel_w;
          const int sx = j * op.stride - op.pad_left + t % op.kernel_w;
          if (sy < 0 || sx < 0 || sy >= height || sx >= width) continue;
          source =
              (size_t(n) * x.h + (op.upsample ? sy / 2 : sy)) * x.w + (op.upsample ? sx / 2 : sx);
        }
        for (int o = 0; o < outputs; o++)
          for (int c = 0; c < inputs; c++)
            sums[o] += weight[(size_t(o) * inputs + c) * taps + t] *
                       (c < x.c ? in[source * x.c + c] : in2[source * c2 + c - x.c]);
      }
      for (int o = 0; o < y.c; o++) {
        double v = sums[o];
        if (op.row)
          v += row[size_t(op.row.shape.n == 1 ? 0 : n) * op.row.shape.c + op.row_offset + o];
        v = geglu ? v * activate(Activation::gelu, sums[y.c + o]) : activate(op.activation, v);
        v *= op.scale;
        if (op.residual) v += op.residual_scale * residual[pixel * y.c + o];
        out[pixel * y.c + o] = v;
      }
    }
  }

  void group_norm(const GroupNorm& op) {
    const auto &gamma = parameter(op.gamma), &beta = parameter(op.beta);
    const Shape& y = op.y.shape;
    const size_t rows = y.rows() / y.n;
    const int width = y.c / op.groups;
    std::vector<double> joined = join(op.x, op.x2);
    auto& out = output(op.y);
    for (int n = 0; n < y.n; n++) {
      for (int g = 0; g < op.groups; g++) {
        const auto each = [&](const auto& body) {
          for (size_t r = 0; r < rows; r++)
            for (int c = g * width; c < (g + 1) * width; c++) body((n * rows + r) * y.c + c, c);
        };
        const double count = double(rows) * width;
        double mean = 0, variance = 0;
        each([&](size_t i, int) { mean += joined[i] / count; });
        each([&](size_t i, int) { variance += (joined[i] - mean) * (joined[i] - mean) / count; });
        each([&](size_t i, int c) {
          const double v = (joined[i] - mean) / std::sqrt(variance + double(op.epsilon));
          const double w = v * (gamma.empty() ? 1 : gamma[c]) + (beta.empty() ? 0 : beta[c]);
          out[i] = op.silu ? activate(Activation::silu, w) : w;
        });
      }
    }
  }

  void layer_norm(const LayerNorm& op) {
    const auto &x = get(op.x), &gamma = parameter(op.gamma), &beta = parameter(op.beta);
    const int width = op.x.shape.c;
    auto& out = output(op.y);
    for (size_t r = 0; r < op.x.shape.rows(); r++) {
      double mean = 0, variance = 0;
      for (int c = 0; c < width; c++) mean += x[r * width + c] / width;
      for (int c = 0; c < width; c++)
        variance += (x[r * width + c] - mean) * (x[r * width + c] - mean) / width;
      for (int c = 0; c < width; c++)
        out[r * width + c] = (x[r * width + c] - mean) / std::sqrt(variance + double(op.epsilon)) *
                                 (gamma.empty() ? 1 : gamma[c]) +
                             (beta.empty() ? 0 : beta[c]);
    }
  }

  void attention(const Attention& op) {
    const auto &q = get(op.q), &k = get(op.k), &v = get(op.v);
    auto& out = output(op.y);
    std::vector<double> weights(op.key.length);
    const auto row = [](const Sequence& s, int outer, int inner, int i) {
      return size_t(outer) * s.outer_stride + size_t(inner) * s.inner_stride + size_t(i) * s.step;
    };
    for (int o = 0; o < op.outer; o++)
      for (int s = 0; s < op.inner; s++)
        for (int head = 0; head < op.heads; head++)
          for (int i = 0; i < op.query.length; i++) {
            const int channel = head * op.head_width;
            const size_t q_row = row(op.query, o, s, i);
            const int keys = op.causal ? i + 1 : op.key.length;
            double top = -INFINITY, sum = 0;
            for (int j = 0; j < keys; j++) {
              double dot = 0;
              for (int d = 0; d < op.head_width; d++)
                dot += q[q_row * op.q.shape.c + op.q_offset + channel + d] *
                       k[row(op.key, o, s, j) * op.k.shape.c + op.k_offset + channel + d];
              weights[j] = double(op.scale) * dot;
              top = std::max(top, weights[j]);
            }
            for (int j = 0; j < keys; j++) sum += weights[j] = std::exp(weights[j] - top);
            for (int d = 0; d < op.head_width; d++) {
              double value = 0;
              for (int j = 0; j < keys; j++)
                value += weights[j] / sum *
                         v[row(op.key, o, s, j) * op.v.shape.c + op.v_offset + channel + d];
              out[q_row * op.y.shape.c + channel + d] = value;
            }
          }
  }

  void elementwise(const Elementwise& op) {
    const auto &x = get(op.x), &x2 = get(op.x2);
    auto& out = output(op.y);
    const size_t width = op.x.shape.c, rows2 = op.x2 ? op.x2.shape.rows() : 1;
    for (size_t i = 0; i < out.size(); i++) {
      const size_t row2 = i / width / op.repeat % rows2;
      const double added = op.x2 ? double(op.b) * x2[row2 * width + i % width] : 0;
      out[i] = activate(op.activation, double(op.a) * x[i] + added);
    }
  }

  void embedding(const Embedding& op) {
    const auto &ids = get(op.ids), &table = state_.weights.at(op.table);
    const auto& positions = parameter(op.positions);
    const int width = op.y.shape.c;
    auto& out = output(op.y);
    for (size_t i = 0; i < out.size(); i++) {
      const size_t token = i / width, c = i % width;
      out[i] = table[size_t(ids[token]) * width + c];
      if (!positions.empty()) out[i] += positions[token % op.ids.shape.w * width + c];
    }
  }

  void timestep_embedding(const TimestepEmbedding& op) {
    const auto& x = get(op.x);
    auto& out = output(op.y);
    const int half = op.dim / 2;
    for (size_t i = 0; i < x.size(); i++)
      for (int j = 0; j < half; j++) {
        const double angle =
            x[i] * std::exp(-std::log(10000.0) * j / (half - double(op.freq_shift)));
        out[i * op.dim + j] = op.flip_sin_to_cos ? std::cos(angle) : std::sin(angle);
        out[i * op.dim + half + j] = op.flip_sin_to_cos ? std::sin(angle) : std::cos(angle);
      }
  }

  void pick_token(const PickToken& op) {
    const auto &x = get(op.x), &index = get(op.index);
    const size_t width = op.x.shape.c, length = op.x.shape.rows() / op.x.shape.n;
    auto& out = output(op.y);
    for (size_t i = 0; i < out.size(); i++)
      out[i] = x[(i / width * length + size_t(index[i / width])) * width + i % width];
  }

  void concat(const Concat& op) { output(op.y) = join(op.x, op.x2); }

  void resample(const Resample& op) {
    const auto& x = get(op.x);
    auto& out = output(op.y);
    const Shape &from = op.x.shape, &to = op.y.shape;
    const auto at = [&](int n, int h, int w, int c) {
      return x[((size_t(n) * from.h + h) * from.w + w) * from.c + c];
    };
    size_t i = 0;
    for (int n = 0; n < to.n; n++)
      for (int h = 0; h < to.h; h++)
        for (int w = 0; w < to.w; w++)
          for (int c = 0; c < to.c; c++, i++)
            out[i] = to.h > from.h ? at(n, h / 2, w / 2, c)
                                   : (at(n, 2 * h, 2 * w, c) + at(n, 2 * h, 2 * w + 1, c) +
                                      at(n, 2 * h + 1, 2 * w, c) + at(n, 2 * h + 1, 2 * w + 1, c)) /
                                         4;
  }

  void nearest_code(const NearestCode& op) {
    const auto &x = get(op.x), &table = parameter(op.table);
    auto& out = output(op.y);
    const size_t width = op.x.shape.c, codes = table.size() / width;
    for (size_t row = 0; row < op.x.shape.rows(); row++) {
      size_t best = 0;
      double least = INFINITY;
      for (size_t code = 0; code < codes; code++) {
        double distance = 0;
        for (size_t c = 0; c < width; c++)
          distance += std::pow(x[row * width + c] - table[code * width + c], 2);
        if (distance < least) {
          least = distance;
          best = code;
        }
      }
      std::copy_n(table.begin() + best * width, width, out.begin() + row * width);
    }
  }

 private:
  const std::vector<double>& get(const Tensor& tensor) {
    static const std::vector<double> none;
    return tensor ? state_.tensors.at(tensor.id) : none;
  }
  const std::vector<double>& parameter(WeightId id) {
    static const std::vector<double> none;
    return id >= 0 ? state_.weights.at(id) : none;
  }
  std::vector<double>& output(const Tensor& tensor) {
    auto& values = state_.tensors[tensor.id];
    values.assign(tensor.shape.count(), 0);
    return values;
  }
  std::vector<double> join(const Tensor& a, const Tensor& b) {
    std::vector<double> out;
    for (size_t r = 0; r < a.shape.rows(); r++)
      for (const Tensor* tensor : {&a, &b}) {
        if (!*tensor) continue;
        const auto from = get(*tensor).begin() + ptrdiff_t(r * tensor->shape.c);
        out.insert(out.end(), from, from + tensor->shape.c);
      }
    return out;
  }

  ReferenceState& state_;
};

}  // namespace

void run_reference(const Op& op, ReferenceState& state) {
  Runner runner(state);
  switch (op.kind) {
    case OpKind::conv:
      return runner.conv(op.conv);
    case OpKind::group_norm:
      return runner.group_norm(op.group_norm);
    case OpKind::layer_norm:
      return runner.layer_norm(op.layer_norm);
    case OpKind::attention:
      return runner.attention(op.attention);
    case OpKind::elementwise:
      return runner.elementwise(op.elementwise);
    case OpKind::embedding:
      return runner.embedding(op.embedding);
    case OpKind::timestep_embedding:
      return runner.timestep_embedding(op.timestep_embedding);
    case OpKind::pick_token:
      return runner.pick_token(op.pick_token);
    case OpKind::concat:
      return runner.concat(op.concat);
    case OpKind::resample:
      return runner.resample(op.resample);
    case OpKind::nearest_code:
      return runner.nearest_code(op.nearest_code);
  }
}

double relative_error(const std::vector<float>& actual, const std::vector<double>& expected) {
  if (actual.size() != expected.size()) return INFINITY;
  double error = 0, norm = 0;
  for (size_t i = 0; i < actual.size(); i++) {
    if (!std::isfinite(actual[i])) return INFINITY;
    error += (double(actual[i]) - expected[i]) * (double(actual[i]) - expected[i]);
    norm += expected[i] * expected[i];
  }
  return norm > 0 ? std::sqrt(error / norm) : error > 0 ? INFINITY : 0;
}

double largest_error(const std::vector<float>& actual, const std::vector<double>& expected) {
  if (actual.size() != expected.size()) return INFINITY;
  double error = 0, norm = 0;
  for (size_t i = 0; i < actual.size(); i++) {
    if (!std::isfinite(actual[i])) return INFINITY;
    error = std::max(error, std::fabs(double(actual[i]) - expected[i]));
    norm += expected[i] * expected[i];
  }
  return norm > 0 ? error / std::sqrt(norm / double(actual.size())) : error > 0 ? INFINITY : 0;
}

}  // namespace deepcache::test

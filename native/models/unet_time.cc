// A U-Net's time embedding with all that joins it, and the resnets' projections of it: what depends
// on timesteps and conditions only.

#include "../runtime/checked.h"
#include "recorder.h"
#include "unet_layout.h"
#include "unet_plan.h"

namespace deepcache {
namespace {

class TimeRecorder {
 public:
  TimeRecorder(const UnetConfig& config, int rows, int samples, Plan& plan)
      : config_(config), rows_(rows), samples_(samples), plan_(plan), record_(plan, Bits::all) {}

  Tensor time_embedding();
  Tensor class_embedding();
  // None without addition_embed_type.
  Tensor addition(int time_ids, int text_length);
  // Of the sum, what the resnets project.
  Tensor join(Tensor time, Tensor classes, Tensor added);
  Tensor projections(Tensor x);

 private:
  Tensor sinusoids(Tensor x, Shape shape, int dim) {
    TimestepEmbedding op;
    op.x = x;
    op.y = plan_.temporary(shape);
    op.dim = dim;
    op.flip_sin_to_cos = config_.flip_sin_to_cos;
    op.freq_shift = config_.freq_shift;
    plan_.add(op);
    return op.y;
  }
  // diffusers: time_proj.
  Tensor time_proj(Tensor x, int rows) {
    const int width = config_.time_input_width();
    if (!config_.embeddings.fourier) {
      const Tensor y = sinusoids(x, {1, 1, rows, width}, width);
      record_.label(y, "time_proj");
      return y;
    }
    TimestepEmbedding op;
    op.x = x;
    op.y = plan_.temporary({1, 1, rows, width});
    op.dim = width;
    op.flip_sin_to_cos = config_.flip_sin_to_cos;
    op.frequencies = record_.vector({"time_proj.weight"}, {width / 2});
    plan_.add(op);
    record_.label(op.y, "time_proj");
    return op.y;
  }
  // diffusers: TimestepEmbedding.
  Tensor mlp(Tensor x, const std::string& name, Activation act) {
    const int width = config_.time_width();
    const bool fused = act != Activation::mish;  // which products do not have
    x = record_.conv(x, name + ".linear_1",
                     {.out = width, .activation = fused ? act : Activation::none, .linear = true});
    if (!fused) x = activated(x, act);
    return record_.conv(x, name + ".linear_2", {.out = width, .linear = true});
  }
  Tensor linear(Tensor x, const std::string& name) {
    return record_.conv(x, name, {.out = config_.time_width(), .linear = true});
  }
  Tensor activated(Tensor x, Activation act) {
    return act == Activation::none ? x : record_.elementwise(x, 1, {}, 0, act);
  }
  Tensor text_time(int time_ids);
  Tensor pooled_text(int text_length);
  Tensor image_embeds() {
    const Tensor given =
        plan_.external(PortKind::image_embeds, {samples_, 1, 1, config_.image_width()});
    return record_.elementwise(given, 1, {}, 0, Activation::none);
  }

  const UnetConfig& config_;
  const int rows_, samples_;
  Plan& plan_;
  Recorder record_;
};

Tensor TimeRecorder::time_embedding() {
  Tensor x = time_proj(plan_.external(PortKind::timesteps, {1, 1, rows_, 1}), rows_);
  if (const int width = config_.time_cond_width) {
    const Tensor given = plan_.external(PortKind::timestep_cond, {samples_, 1, 1, width});
    const Tensor cond =
        record_.conv(given, "time_embedding.cond_proj",
                     {.out = config_.time_input_width(), .bias = false, .linear = true});
    x = record_.elementwise(x, 1, cond, 1, Activation::none);
  }
  x = activated(mlp(x, "time_embedding", config_.act), config_.embeddings.timestep_post);
  record_.label(x, "time_embedding");
  if (!config_.control || !config_.control->kinds) return x;
  // diffusers: ControlNetUnionModel.control_add_embedding.
  const int count = config_.control->kinds->count, dim = config_.addition_time_width;
  const Tensor kinds = sinusoids(plan_.external(PortKind::control_kinds, {1, 1, count, 1}),
                                 {1, 1, 1, (Extent(count) * dim).value("kinds of pictures")}, dim);
  return record_.elementwise(x, 1, mlp(kinds, "control_add_embedding", Activation::silu), 1,
                             Activation::none);
}

Tensor TimeRecorder::class_embedding() {
  const UnetEmbeddings& embeddings = config_.embeddings;
  const std::string name = "class_embedding";
  if (embeddings.classes == UnetClasses::none) return {};
  const bool table = embeddings.classes == UnetClasses::table;
  const Tensor labels =
      plan_.external(PortKind::class_labels, {samples_, 1, 1, embeddings.class_width},
                     table ? Type::i32 : Type::f32);
  Tensor x;
  if (table) {
    WeightSpec spec;
    spec.recipe = Recipe::table;
    spec.names = {name + ".weight"};
    spec.out = embeddings.class_count;
    spec.in = config_.time_width();
    Embedding op;
    op.ids = labels;
    op.y = plan_.temporary({samples_, 1, 1, spec.in});
    op.table = plan_.weight(spec);
    plan_.add(op);
    x = op.y;
  } else if (embeddings.classes == UnetClasses::timestep) {
    Tensor numbers = labels;
    numbers.shape = {1, 1, samples_, 1};
    x = mlp(time_proj(numbers, samples_), name, config_.act);
    x.shape = {samples_, 1, 1, config_.time_width()};
  } else if (embeddings.classes == UnetClasses::identity) {
    x = record_.elementwise(labels, 1, {}, 0, Activation::none);
  } else {
    x = embeddings.classes == UnetClasses::projection ? mlp(labels, name, Activation::silu)
                                                      : linear(labels, name);
  }
  record_.label(x, name);
  return x;
}

// [pooled text, sinusoids of each size] per sample; diffusers: get_aug_embed.
Tensor TimeRecorder::text_time(int time_ids) {
  const int ids_width = config_.addition_time_width;
  const int pooled = pooled_text_width(config_, time_ids);
  Tensor sizes = sinusoids(plan_.external(PortKind::time_ids, {samples_, 1, time_ids, 1}),
                           {samples_, 1, 1, time_ids * ids_width}, ids_width);
  record_.label(sizes, "add_time_proj");
  if (config_.text_time()) {
    const Tensor text = plan_.external(PortKind::text_embeds, {samples_, 1, 1, pooled});
    sizes = record_.concat(text, sizes);
  }
  return mlp(sizes, "add_embedding", Activation::silu);
}

// diffusers: TextTimeEmbedding with AttentionPooling, of the text as it is given: a token in front,
// the mean of the others with a learned position, attends to all of them.
Tensor TimeRecorder::pooled_text(int text_length) {
  const std::string name = "add_embedding", pool = name + ".pool";
  const int width = config_.text_width(), heads = config_.embeddings.addition_heads;
  const Tensor text = plan_.external(PortKind::text, {samples_, 1, text_length, width});
  const Tensor x = record_.layer_norm(text, name + ".norm1");
  PickToken first;
  first.x = x;
  first.index = plan_.external(PortKind::pooled_index, {samples_, 1, 1, 1}, Type::i32);
  first.y = plan_.temporary({samples_, 1, 1, width});
  plan_.add(first);
  const Tensor zeros = record_.elementwise(first.y, 0, {}, 0, Activation::none);
  // Queries of zeros weigh all tokens alike: their mean.
  const Tensor mean = record_.attention(zeros, 0, x, 0, x, 0, heads, width / heads);
  // The norm of zeros is its second parameter.
  LayerNorm position;
  position.x = zeros;
  position.y = plan_.temporary(zeros.shape);
  WeightSpec learned;
  learned.recipe = Recipe::vector;
  learned.names = {pool + ".positional_embedding"};
  learned.out = width;
  learned.token = true;
  position.gamma = position.beta = plan_.weight(learned);
  plan_.add(position);
  const Tensor token = record_.elementwise(mean, 1, position.y, 1, Activation::none);
  const Tensor q = record_.conv(token, pool + ".q_proj", {.out = width, .linear = true});
  const Tensor kv = record_.linears(record_.token_concat(token, x),
                                    {pool + ".k_proj", pool + ".v_proj"}, {width, width}, true);
  const Tensor pooled = record_.attention(q, 0, kv, 0, kv, width, heads, width / heads);
  return record_.layer_norm(linear(pooled, name + ".proj"), name + ".norm2");
}

Tensor TimeRecorder::addition(int time_ids, int text_length) {
  const std::string name = "add_embedding";
  Tensor x;
  if (config_.has_time_ids()) {
    x = text_time(time_ids);
  } else if (config_.embeddings.addition == UnetAddition::text) {
    x = pooled_text(text_length);
  } else if (config_.embeddings.addition == UnetAddition::text_image) {
    const Tensor text =
        plan_.external(PortKind::text_embeds, {samples_, 1, 1, config_.text_width()});
    x = record_.layer_norm(linear(text, name + ".text_proj"), name + ".text_norm");
    x = record_.elementwise(x, 1, linear(image_embeds(), name + ".image_proj"), 1,
                            Activation::none);
  } else if (config_.embeddings.addition == UnetAddition::image) {
    x = record_.layer_norm(linear(image_embeds(), name + ".image_proj"), name + ".image_norm");
  }
  if (x) record_.label(x, name);
  return x;
}

Tensor TimeRecorder::join(Tensor time, Tensor classes, Tensor added) {
  if (classes && config_.embeddings.classes_join) {
    // A sample's to each of its rows.
    time = record_.concat(time, record_.elementwise(time, 0, classes, 1, Activation::none));
  } else if (classes) {
    time = record_.elementwise(time, 1, classes, 1, Activation::none);
  }
  if (added) time = record_.elementwise(time, 1, added, 1, Activation::none);
  return activated(time, config_.embeddings.time_act);
}

Tensor TimeRecorder::projections(Tensor x) {
  const UnetLayout layout(config_);
  Tensor parts[2];
  for (const bool act : {true, false}) {
    std::vector<std::string> names;
    std::vector<int> outs;
    for (const UnetResnet* resnet : layout.resnets()) {
      if (resnet->time_act != act) continue;
      names.push_back(resnet->name + ".time_emb_proj");
      outs.push_back(resnet->time_channels);
    }
    if (!names.empty())
      parts[!act] = record_.linears(act ? activated(x, config_.act) : x, names, outs, true);
  }
  if (!parts[0] || !parts[1]) return parts[0] ? parts[0] : parts[1];
  return record_.concat(parts[0], parts[1]);
}

}  // namespace

Plan plan_unet_time(const UnetConfig& config, int rows, int samples, int time_ids,
                    int text_length) {
  Plan plan;
  TimeRecorder record(config, rows, samples, plan);
  const Tensor time = record.time_embedding();
  const Tensor classes = record.class_embedding();
  const Tensor x = record.join(time, classes, record.addition(time_ids, text_length));
  plan.mark(kTimeEmbeddingMark);
  plan.make_external(record.projections(x), PortKind::time);
  plan.finish();
  return plan;
}

}  // namespace deepcache

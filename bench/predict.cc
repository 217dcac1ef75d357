#include "predict.h"

#include <cstdio>
#include <map>

#include "machine.h"
#include "models.h"
#include "report.h"
#include "time_model.h"

namespace deepcache::bench {
namespace {

constexpr int kTokens = 77;

class Predictions {
 public:
  // bf16 is the same to the model as fp16.
  Predictions(Report& report, const std::string& type, std::string filter)
      : report_(report), type_(type), fp8_(type == "fp8"), filter_(std::move(filter)) {
    std::printf("%-64s %10s %10s %9s\n", "predicted, not measured", "floor ms", "ms", "GMAC");
  }

  std::string name(const std::string& what, int batch) const {
    return what + ".b" + std::to_string(batch) + "." + type_;
  }
  Estimate of(const Plan& plan, const Op& op) const { return estimate(plan, op, kH200, fp8_); }

  Estimate call(const std::string& name, const Plan& plan) {
    return call(name, plan, {plan.all()});
  }

  Estimate call(const std::string& name, const Plan& plan, const OpRanges& segments) {
    const Estimate out = estimate(plan, segments, kH200, fp8_);
    add(name, out, plan.executed_macs(segments),
        JsonObject()
            .add("gmacs_published", 1e-9 * plan.macs(segments).complete, 12)
            .add("ops", count_ops(segments)));
    return out;
  }

  void add(const std::string& name, const Estimate& estimate, double macs,
           const JsonObject& extra) {
    if (name.find(filter_) == std::string::npos) return;
    std::printf("%-64s %10.4f %10.4f %9.1f\n", name.c_str(), 1e3 * estimate.floor,
                1e3 * estimate.predicted, 1e-9 * macs);
    JsonObject row;
    row.add("name", name)
        .add("floor_ms", 1e3 * estimate.floor, 4)
        .add("predicted_ms", 1e3 * estimate.predicted, 4)
        .add("gmacs_executed", 1e-9 * macs, 6);
    report_.add(row.append(extra));
  }

  // Where the predicted time of a call goes.
  void parts(const std::string& model, int images, const TimeParts& parts) {
    const std::pair<const char*, double> rows[] = {
        {"launches", parts.launches}, {"starts", parts.starts}, {"loops", parts.loops},
        {"ends", parts.ends},         {"apart", parts.apart},   {"rest", parts.rest}};
    for (const auto& [part, seconds] : rows) {
      const std::string row = name(model + ".full.part." + part, images);
      if (row.find(filter_) == std::string::npos) continue;
      std::printf("%-64s %10s %10.4f\n", row.c_str(), "", 1e3 * seconds);
      report_.add(JsonObject().add("name", row).add("predicted_ms", 1e3 * seconds, 4));
    }
  }

  void images(const std::string& name, double seconds, double speedup, int images) {
    if (name.find(filter_) == std::string::npos) return;
    std::printf("%-64s %10.2f images/s, denoising %.2f times as fast\n", name.c_str(),
                images / seconds, speedup);
    report_.add(JsonObject()
                    .add("name", name)
                    .add("predicted_images_per_second", images / seconds, 4)
                    .add("ideal_speedup", speedup, 4));
  }

 private:
  Report& report_;
  const std::string type_;
  const bool fp8_;
  const std::string filter_;
};

// What an op counts as in a table of a few rows.
std::string class_of(const Op& op) {
  if (op.kind == OpKind::conv) {
    if (op.conv.activation == Activation::geglu) return "geglu";
    return op.conv.kernel_h * op.conv.kernel_w > 1 ? "convolutions" : "linear";
  }
  if (op.kind == OpKind::attention) return "attention";
  if (op.kind == OpKind::group_norm || op.kind == OpKind::layer_norm) return "norms";
  return "other";
}

// All ops of the plan, class by class.
void predict_classes(Predictions& rows, const std::string& model, int images, const Plan& plan) {
  struct Sum {
    Estimate estimate;
    double macs = 0;
    int ops = 0;
  };
  std::map<std::string, Sum> sums;
  for (const Op& op : plan.ops()) {
    const Estimate one = rows.of(plan, op);
    Sum& sum = sums[class_of(op)];
    sum.estimate.floor += one.floor;
    sum.estimate.predicted += one.predicted;
    sum.macs += cost_of(plan, op, 2).macs;
    sum.ops++;
  }
  for (const auto& [name, sum] : sums)
    rows.add(rows.name(model + ".full." + name, images), sum.estimate, sum.macs,
             JsonObject().add("ops", sum.ops));
}

}  // namespace

void predict(const std::vector<std::string>& models, const std::vector<int>& batches,
             const std::vector<int>& intervals, int steps, const std::string& type,
             const std::string& filter, const std::string& json) {
  JsonObject head;
  head.add("what",
           "predictions by a time model (bench/time_model.h), unmeasured: a call has two samples "
           "for each image of the batch; floors are the slower of arithmetic and memory")
      .raw("machine", machine_json())
      .add("chip", kH200.name)
      .add("tflops", 1e-12 * kH200.flops)
      .add("gbs", 1e-9 * kH200.memory_bytes);
  Report report(json, head);
  Predictions rows(report, type, filter);
  for (const std::string& model : models) {
    const UnetConfig config = UnetConfig::parse(model_part(model, "unet"));
    const int side = config.sample_height;
    double text = 0, decode = 0;
    for (const char* part : {"text_encoder", "text_encoder_2"})
      if (const std::string text_config = model_part(model, part); !text_config.empty())
        text += rows.call(rows.name(model + ".text" + (text > 0 ? "2" : ""), 1),
                          plan_clip_text(text_encoder_config(text_config), 2, kTokens, 0))
                    .predicted;
    if (const std::string vae = model_part(model, "vae"); !vae.empty())
      decode = rows.call(rows.name(model + ".decode", 1),
                         plan_vae_decode(VaeConfig::parse(vae), 1, side, side))
                   .predicted;
    for (const int images : batches) {
      const UnetShape shape{2 * images, side, side, kTokens, 1};
      const Plan plan = plan_unet(config, shape, {0});
      const Estimate call = rows.call(rows.name(model + ".full", images), plan);
      const double full = call.predicted;
      predict_classes(rows, model, images, plan);
      rows.parts(model, images, call.parts);
      const double retrieve =
          rows.call(rows.name(model + ".retrieve0", images), plan, retrieve_segments(plan, 0))
              .predicted;
      for (const int interval : intervals) {
        const int fulls = (steps + interval - 1) / interval;
        const double denoise = fulls * full + (steps - fulls) * retrieve;
        rows.images(
            rows.name(model + ".images.n" + std::to_string(steps) + ".i" + std::to_string(interval),
                      images),
            text + denoise + images * decode, steps * full / denoise, images);
      }
      if (images != batches.front()) continue;
      for (const DistinctOp& op : distinct_ops(plan)) {
        const Estimate one = rows.of(plan, *op.op);
        JsonObject extra;
        extra.add("count", op.count);
        if (!one.choice.empty()) extra.add("tile", one.choice);
        rows.add(rows.name("op." + model + "." + op.name, images), one,
                 cost_of(plan, *op.op, 2).macs, extra);
      }
    }
  }
}

}  // namespace deepcache::bench

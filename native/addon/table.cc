#include "table.h"

#include <array>
#include <cmath>
#include <string_view>

#include "runtime/error.h"

namespace deepcache::addon {

AttentionUse parse_attention_use(const Argument& in) {
  if (!in.given()) return AttentionUse::compute;
  const std::string name = in.string();
  if (name == "keep") return AttentionUse::keep;
  if (name == "mean") return AttentionUse::mean;
  if (name == "kept") return AttentionUse::kept;
  in.fail("'keep', 'mean' or 'kept'", "\"" + name + "\"");
}

namespace {

constexpr std::array<std::string_view, kFirstHistorySlot + kHistorySlots> kSlots = {
    "x", "m", "x0", "noise", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9"};

Slot parse_slot(const Argument& slot) {
  const std::string name = slot.string();
  for (size_t i = 0; i < kSlots.size(); ++i)
    if (kSlots[i] == name) return Slot(i);
  slot.fail("one of x, m, x0, noise, s0 .. s9", "\"" + name + "\"");
}

float parse_positive(const Argument& number) {
  const double value = number.number();
  if (!(value > 0)) number.fail("a positive number");
  return float(value);
}

class TableParser {
 public:
  explicit TableParser(int batch) : batch_(batch) {}

  StepTable parse(const Argument& table) {
    for (const Argument& program : table["programs"].elements(kMaxPrograms))
      table_.programs.push_back(parse_program(program));
    const auto rows = table["rows"].elements(kMaxRows);
    if (table_.programs.empty()) table["programs"].fail("a list of programs", "an empty one");
    if (rows.empty()) table["rows"].fail("a list of rows", "an empty one");
    for (const Argument& row : rows) {
      const Napi::HandleScope scope(row.value().Env());
      table_.rows.push_back(parse_row(row));
    }
    table_.count_calls();
    return std::move(table_);
  }

 private:
  static ProgramKey parse_program(const Argument& program) {
    ProgramKey key;
    const Argument kind = program["kind"];
    const std::string name = kind.string();
    if (name == "retrieve") {
      key.kind = ProgramKey::Kind::retrieve;
      key.branch = int(program["branch"].integer(0, 1000));
    } else if (name != "full") {
      kind.fail("'full' or 'retrieve'", "\"" + name + "\"");
    }
    if (const Argument halves = program["halves"]; halves.given())
      key.halves = parse_halves(halves);
    if (const Argument networks = program["networks"]; networks.given())
      for (const int network : networks.integers(32, 0, 31)) key.networks |= 1u << network;
    key.attention = {parse_attention_use(program["cross"]), parse_attention_use(program["self"])};
    if (const Argument degrades = program["degrades"]; degrades.given())
      key.degrades = degrades.boolean();
    return key;
  }

  static Halves parse_halves(const Argument& halves) {
    const std::string name = halves.string();
    if (name == "all") return Halves::all;
    if (name == "both") return Halves::both;
    if (name == "conditional") return Halves::conditional;
    if (name == "unconditional") return Halves::unconditional;
    halves.fail("'all', 'both', 'conditional' or 'unconditional'", "\"" + name + "\"");
  }

  StepRow parse_row(const Argument& in) {
    StepRow row;
    const Argument program = in["program"], predict = in["predict"], skip = in["skip"];
    if (predict.given() && program.given() && !skip.given())
      throw Error(ErrorCode::kInvalidArgument,
                  in.name() + " has both a program and a prediction; give one of them");
    if (predict.given()) table_.predict(row, parse_sum(predict));
    if (predict.given() && !row.calls()) predict.fail("a list of terms", "an empty one");
    if (skip.given()) parse_skip(skip, row);
    row.program = program.given() || skip.given() ? parse_index(program) : kNoProgram;
    row.timestep = coefficient(in["timestep"]);
    row.input_scale = coefficient(in["inputScale"]);
    if (const Argument gamma = in["featureGamma"]; gamma.given()) {
      row.forecasts = true;
      row.feature_gamma = coefficient(gamma);
    }
    if (const Argument signal = in["signal"]; signal.given()) {
      row.has_signal = true;
      row.signal = coefficient(signal);
    }
    if (const Argument guidance = in["guidance"]; guidance.given()) {
      row.guided = true;
      row.guidance_scale = coefficient(guidance["scale"]);
      if (const Argument third = guidance["third"]; third.given()) {
        row.guided_by_third = true;
        row.guidance_third = coefficient(third);
      }
      row.guidance_rescale = coefficient(guidance["rescale"]);
      if (const Argument rule = guidance["rule"]; rule.given()) row.rule = parse_rule(rule);
    }
    parse_x0(in["x0"], row);
    for (const Argument& assignment : in["assign"].elements(kMaxAssignments))
      table_.assign(row, parse_slot(assignment["to"]), parse_sum(assignment["terms"]));
    if (const Argument noise = in["noise"]; noise.given()) {
      row.has_noise = true;
      row.noise = coefficient(noise);
    }
    if (const Argument blend = in["blend"]; blend.given()) {
      row.blended = true;
      row.blend_init = coefficient(blend["init"]);
      row.blend_noise = coefficient(blend["noise"]);
      if (const Argument redrawn = blend["redrawn"]; redrawn.given())
        row.blends_noise = redrawn.boolean();
    }
    return row;
  }

  static GuidanceRule parse_rule(const Argument& in) {
    GuidanceRule rule;
    const Argument kind = in["kind"], average = in["average"];
    const std::string name = kind.string();
    size_t place = 1;  // behind the linear one, which has no rule
    for (const char* const known :
         {"zero", "averaging", "zeroStar", "projected", "tangential", "magnitude"}) {
      if (name == known) rule.kind = GuidanceRule::Kind(place);
      place++;
    }
    if (rule.kind == GuidanceRule::Kind::linear)
      kind.fail("'zero', 'averaging', 'zeroStar', 'projected', 'tangential' or 'magnitude'",
                "\"" + name + "\"");
    if (const Argument from = in["fromConditional"]; from.given())
      rule.from_conditional = from.boolean();
    const auto read = [&](const char* field, float& value) {
      if (const Argument number = in[field]; number.given()) value = float(number.number());
    };
    read("eta", rule.eta);
    read("limit", rule.limit);
    read("alpha", rule.alpha);
    read("momentum", rule.momentum);
    rule.has_momentum = in["momentum"].given();
    if (rule.has_momentum) rule.average = parse_slot(average);
    return rule;
  }

  void parse_skip(const Argument& in, StepRow& row) {
    const Argument threshold = in["threshold"], program = in["program"];
    const Napi::Value below = threshold.value();
    row.skip_below = below.IsNumber() && below.As<Napi::Number>().DoubleValue() == INFINITY
                         ? INFINITY
                         : float(threshold.number());
    row.max_skips = int(in["maxSkips"].integer(1, kMaxRows));
    if (program.given()) row.instead = parse_index(program);
  }

  // Of a program.
  int parse_index(const Argument& in) const {
    return int(in.integer(0, int64_t(table_.programs.size()) - 1));
  }

  void parse_x0(const Argument& in, StepRow& row) {
    row.x0_x = coefficient(in["x"]);
    row.x0_m = coefficient(in["m"]);
    const Argument clamp = in["clamp"], threshold = in["threshold"];
    if (clamp.given() && threshold.given())
      throw Error(ErrorCode::kInvalidArgument,
                  in.name() + " has both a clamp and a threshold; give one of them");
    if (clamp.given()) {
      row.limit = StepRow::Limit::clamp;
      row.clamp = parse_positive(clamp);
    } else if (threshold.given()) {
      row.limit = StepRow::Limit::threshold;
      row.threshold_ratio = parse_positive(threshold["ratio"]);
      row.threshold_max = parse_positive(threshold["max"]);
    }
  }

  std::vector<Term> parse_sum(const Argument& in) {
    std::vector<Term> sum;
    for (const Argument& term : in.elements(kMaxTerms))
      sum.push_back({parse_slot(term["slot"]), coefficient(term["coefficient"])});
    return sum;
  }

  // A number, or an array with one for each sample.
  Coefficient coefficient(const Argument& in) {
    const Coefficient out{uint32_t(table_.values.size()), in.value().IsArray() ? 1u : 0u};
    if (!in.value().IsArray()) {
      append(in);
      return out;
    }
    const auto samples = in.elements(size_t(batch_));
    if (samples.size() != size_t(batch_))
      in.fail("a number or an array of " + std::to_string(batch_) + " (one for each sample)",
              std::to_string(samples.size()));
    for (const Argument& sample : samples) append(sample);
    return out;
  }

  void append(const Argument& in) {
    const float value = float(in.number());
    if (!std::isfinite(value)) in.fail("a number that fp32 can hold");
    table_.values.push_back(value);
  }

  int batch_;
  StepTable table_;
};

}  // namespace

StepTable parse_table(const Argument& table, int batch) { return TableParser(batch).parse(table); }

Napi::Object table_limits(Napi::Env env) {
  Napi::Object limits = Napi::Object::New(env);
  Napi::Array slots = Napi::Array::New(env);
  for (const std::string_view slot : kSlots)
    slots[slots.Length()] = Napi::String::New(env, std::string(slot));
  limits["slots"] = slots;
  limits["rows"] = Napi::Number::New(env, kMaxRows);
  limits["programs"] = Napi::Number::New(env, kMaxPrograms);
  limits["assignments"] = Napi::Number::New(env, kMaxAssignments);
  limits["terms"] = Napi::Number::New(env, kMaxTerms);
  return limits;
}

}  // namespace deepcache::addon

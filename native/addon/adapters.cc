#include "adapters.h"

#include <array>
#include <set>

#include "model_source.h"
#include "runtime/error.h"

namespace deepcache::addon {
namespace {

constexpr size_t kMostWeights = 100'000;
constexpr size_t kMostTerms = 1000;  // on one weight
constexpr double kLargest = 1e6;     // of scales and factors

template <typename Value>
using Names = std::vector<std::pair<std::string, Value>>;

template <typename Value>
Value choose(const Argument& argument, const Names<Value>& names) {
  const std::string text = argument.string();
  std::string known;
  for (const auto& [name, value] : names) {
    if (name == text) return value;
    known += (known.empty() ? "" : ", ") + name;
  }
  argument.fail("one of " + known, "\"" + text.substr(0, 100) + "\"");
}

double bounded(const Argument& argument) {
  const double value = argument.number();
  if (value < -kLargest || value > kLargest)
    argument.fail("a number from -1e6 to 1e6", std::to_string(value));
  return value;
}

const std::array<const char*, 14> kRoles = {"up",   "down", "mid",    "w1",       "w1_a",
                                            "w1_b", "w2",   "w2_a",   "w2_b",     "t1",
                                            "t2",   "diff", "weight", "magnitude"};

AdapterTerm parse_term(const Argument& argument) {
  static const Names<AdapterKind> kinds = {
      {"lora", AdapterKind::lora}, {"loha", AdapterKind::loha}, {"lokr", AdapterKind::lokr},
      {"ia3", AdapterKind::ia3},   {"full", AdapterKind::full}, {"glora", AdapterKind::glora}};
  static const Names<MagnitudeRule> rules = {{"interpolated", MagnitudeRule::interpolated},
                                             {"peft", MagnitudeRule::peft}};
  AdapterTerm term;
  term.kind = choose(argument["kind"], kinds);
  term.scale = bounded(argument["scale"]);
  term.factor = bounded(argument["factor"]);
  if (const Argument on_input = argument["onInput"]; on_input.given())
    term.on_input = on_input.boolean();
  if (const Argument rule = argument["magnitudeRule"]; rule.given())
    term.rule = choose(rule, rules);
  return term;
}

}  // namespace

std::shared_ptr<const AdapterRequest> AdapterRequest::parse(const Argument& argument) {
  auto request = std::make_shared<AdapterRequest>();
  std::set<std::string> seen;
  for (const Argument& weight : argument.elements(kMostWeights)) {
    const Napi::HandleScope scope(weight.value().Env());
    const std::string name = weight["name"].string();
    if (!seen.insert(name).second)
      weight["name"].fail("named once", "\"" + name.substr(0, 200) + "\" twice");
    request->add(name, weight["terms"]);
  }
  return request;
}

std::shared_ptr<const AdapterRequest> AdapterRequest::of_weight(const std::string& name,
                                                                const Argument& terms) {
  auto request = std::make_shared<AdapterRequest>();
  request->add(name, terms);
  return request;
}

void AdapterRequest::add(const std::string& name, const Argument& argument) {
  std::vector<Term> terms;
  for (const Argument& given : argument.elements(kMostTerms)) {
    Term& term = terms.emplace_back(Term{parse_term(given), {}});
    const Argument tensors = given["tensors"];
    for (const char* role : kRoles) {
      const Argument tensor = tensors[role];
      if (!tensor.given()) continue;
      StoredTensor stored = parse_stored_tensor(tensor);
      // By its place: files may use a name for several parts.
      stored.name = std::to_string(table_.size());
      term.tensors.emplace_back(role, stored.name);
      table_.push_back(std::move(stored));
    }
  }
  weights_.emplace_back(name, std::move(terms));
}

AdapterTerms AdapterRequest::open() const {
  const std::shared_ptr<WeightSource> files = open_table(table_);
  AdapterTerms terms;
  for (const auto& [name, list] : weights_) {
    std::vector<AdapterTerm>& opened = terms[name];
    for (const Term& term : list) {
      AdapterTerm& made = opened.emplace_back(term.term);
      made.files = files;
      for (const auto& [role, stored] : term.tensors) made.tensors[role] = *files->find(stored);
    }
  }
  return terms;
}

}  // namespace deepcache::addon

// fuzz_configs [iterations] [seed]: damages valid configurations of every format, and checks that
// each is refused with a coded error or makes a model: its weights, its plans, and where it is
// small a forward pass over synthetic weights. Worth most when built with
// -fsanitize=address,undefined.

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include "mutable_json.h"
#include "runtime/error.h"
#include "test/native/config_corpus.h"
#include "trial.h"

using namespace deepcache;
using namespace deepcache::test;

namespace {

// Seconds of the process' own: others on the machine do not count.
constexpr double kHang = 20;

const std::vector<std::string> kExtremes = {"0",
                                            "-1",
                                            "1",
                                            "2",
                                            "3",
                                            "7",
                                            "31",
                                            "33",
                                            "255",
                                            "4096",
                                            "16384",
                                            "16385",
                                            "65536",
                                            "1048576",
                                            "1048577",
                                            "2147483647",
                                            "2147483648",
                                            "4294967296",
                                            "9007199254740991",
                                            "9007199254740992",
                                            "9223372036854775807",
                                            "18446744073709551616",
                                            "1e308",
                                            "-1e308",
                                            "1e-320",
                                            "1e400",
                                            "0.5",
                                            "-0",
                                            "1e6",
                                            "null",
                                            "true",
                                            "false",
                                            "\"\"",
                                            "\"NaN\"",
                                            "\"Infinity\"",
                                            "NaN",
                                            "[]",
                                            "{}",
                                            "[[]]",
                                            "\"simple\"",
                                            "\"AttnDownBlock2D\"",
                                            "\"CrossAttnUpBlock2D\"",
                                            "\"DownBlockSpatioTemporal\""};

const std::vector<std::string> kPieces = {"{",  "}", "[",  "]",    ",",        ":",       "\"",
                                          "\\", "-", "e9", "\xff", "[[[[[[[[", "\\ud800", "0"};

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  std::string next(const std::string& valid) {
    MutableJson json = MutableJson::from(Json::parse(valid));
    for (size_t i = 0, changes = 1 + below(3); i < changes; i++) change(json);
    std::string text = json.text();
    if (below(16) == 0) text.insert(below(text.size() + 1), pick(kPieces));
    if (below(64) == 0) text.resize(below(text.size() + 1));
    return text;
  }

  size_t below(size_t end) { return size_t(random_() % end); }

 private:
  template <typename T>
  T& pick(std::vector<T>& list) {
    return list[below(list.size())];
  }
  template <typename T>
  const T& pick(const std::vector<T>& list) {
    return list[below(list.size())];
  }

  void change(MutableJson& json) {
    std::vector<MutableJson*> values;
    json.collect(values);
    if (values.empty()) return;
    MutableJson& victim = *pick(values);
    switch (below(8)) {
      case 0:
        victim = MutableJson::literal(pick(kExtremes));
        return;
      case 1:
        return change_list(json, victim);
      case 2:  // another field's value
        victim = MutableJson(*pick(values));
        return;
      case 3: {  // a level more or less everywhere
        const bool more = below(2);
        // What lies in a list before the list itself, which may move it.
        for (auto at = values.rbegin(); at != values.rend(); ++at) {
          MutableJson* const value = *at;
          if (value->kind != Json::Kind::array || value->items.empty()) continue;
          if (more)
            value->items.push_back(MutableJson(value->items.back()));
          else
            value->items.pop_back();
        }
        return;
      }
      default:
        return change_number(victim);
    }
  }

  void change_list(MutableJson& json, MutableJson& victim) {
    if (victim.kind == Json::Kind::array && below(2)) {
      const size_t length = below(8) == 0 ? below(5000) : below(12);
      const MutableJson item =
          victim.items.empty() ? MutableJson::literal(pick(kExtremes)) : pick(victim.items);
      victim.items.resize(length, item);
      return;
    }
    MutableJson* object = &json;
    while (object->members.size() == 1 || (object->members.size() > 1 && below(2))) {
      MutableJson& inner = pick(object->members).second;
      if (inner.kind != Json::Kind::object) break;
      object = &inner;
    }
    if (object->members.empty()) return;
    const size_t at = below(object->members.size());
    if (below(8) == 0)
      object->members.push_back(object->members[at]);
    else
      object->members.erase(object->members.begin() + long(at));
  }

  // Close to what was there, so that much of it still fits together.
  void change_number(MutableJson& value) {
    if (!value.items.empty()) return change_number(pick(value.items));
    if (value.kind != Json::Kind::number) return;
    const double number = std::strtod(value.scalar.c_str(), nullptr);
    const double factors[] = {2, 3, 4, 16, 64, 1024, 0.5, 0.25};
    const double changed = below(2) ? number * factors[below(8)] : number + double(below(5)) - 2;
    char text[32];
    std::snprintf(text, sizeof text, "%.17g", changed);
    value.scalar = text;
  }

  std::mt19937_64 random_;
};

}  // namespace

int main(int argc, char** argv) {
  const long iterations = argc > 1 ? std::atol(argv[1]) : 3000;
  const uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  Mutator mutator(seed);
  long counts[int(Outcome::count)] = {};
  double slowest = 0;
  for (long i = 0; i < iterations; i++) {
    const auto& corpus = config_corpus();
    const ConfigCase& origin = corpus[size_t(i) % corpus.size()];
    // The unchanged ones first: they must make models.
    const std::string text = i < long(corpus.size()) ? origin.text : mutator.next(origin.text);
    const auto problem = [&](const std::string& what) {
      std::printf("iteration %ld, %s: %s\n%s\n", i, origin.name, what.c_str(), text.c_str());
      std::exit(1);
    };
    const std::clock_t start = std::clock();
    try {
      const Outcome outcome =
          try_config(origin.kind, text, [&](size_t n) { return mutator.below(n); });
      counts[int(outcome)]++;
      if (i < long(corpus.size()) && outcome != Outcome::computed)
        problem("a valid one is refused");
    } catch (const std::exception& error) {
      problem(error.what());
    }
    slowest = std::max(slowest, double(std::clock() - start) / CLOCKS_PER_SEC);
    if (slowest > kHang) problem("took " + std::to_string(slowest) + " s");
  }
  std::printf(
      "%ld configurations: %ld refused, %ld planned, %ld computed; the slowest took %.2f s "
      "(seed %llu)\n",
      iterations, counts[int(Outcome::refused)], counts[int(Outcome::planned)],
      counts[int(Outcome::computed)], slowest, static_cast<unsigned long long>(seed));
  return 0;
}

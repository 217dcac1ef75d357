#include "adapters/term.h"

#include "runtime/checked.h"
#include "runtime/error.h"

namespace deepcache {
namespace {

using Shape64 = std::vector<int64_t>;

// Checks one term against its weight.
class Check {
 public:
  Check(const AdapterTerm& term, const std::string& name, const SourceTensor& weight)
      : term_(term), name_(name), weight_(weight) {}

  void run() const {
    if (weight_.count == 0 || weight_.shape.empty() || weight_.shape[0] < 1) fail("is empty");
    if (term_.rule != MagnitudeRule::none) magnitude();
    switch (term_.kind) {
      case AdapterKind::lora:
        return lora();
      case AdapterKind::loha:
        half("w1_a", "w1_b", "t1");
        return half("w2_a", "w2_b", "t2");
      case AdapterKind::lokr:
        return lokr();
      case AdapterKind::ia3:
        return require(get("weight"), count_of("weight") == (term_.on_input ? in() : rows()));
      case AdapterKind::full:
        return require(get("diff"), count_of("diff") == weight_.count &&
                                        get("diff").shape[0] == weight_.shape[0]);
      case AdapterKind::glora:
        return glora();
    }
  }

 private:
  [[noreturn]] void fail(const std::string& problem) const {
    throw Error(ErrorCode::kInvalidWeights,
                "adapter: for \"" + name_ + "\" of shape " + to_string(weight_.shape) + ", " +
                    (term_.files ? term_.files->description() : "its file") + " " + problem);
  }
  bool has(const char* role) const { return term_.tensors.contains(role); }
  // Of at least one axis and one value.
  const SourceTensor& get(const char* role) const {
    const auto found = term_.tensors.find(role);
    if (found == term_.tensors.end()) fail("has no tensor " + std::string(role));
    const SourceTensor& tensor = found->second;
    Count count = 1;
    for (const int64_t axis : tensor.shape) count = count * Count(axis);
    if (tensor.shape.empty() || tensor.count == 0 || !count.fits() ||
        count.value("values") != tensor.count)
      fail("has a tensor " + std::string(role) + " of shape " + to_string(tensor.shape));
    return tensor;
  }
  size_t count_of(const char* role) const { return get(role).count; }
  size_t axis(const char* role, size_t i) const {
    const SourceTensor& tensor = get(role);
    return i < tensor.shape.size() ? size_t(tensor.shape[i]) : 1;
  }
  void require(const SourceTensor& tensor, bool fits) const {
    if (fits) return;
    for (const auto& [role, other] : term_.tensors)
      if (&other == &tensor)
        fail("has a tensor " + role + " of shape " + to_string(tensor.shape) +
             ", which does not fit");
  }
  size_t rows() const { return size_t(weight_.shape[0]); }
  size_t width() const { return weight_.count / rows(); }
  size_t in() const { return weight_.shape.size() > 1 ? size_t(weight_.shape[1]) : 1; }
  size_t taps() const { return width() / in(); }

  void lora() const {
    const size_t outer = count_of("up") / axis("up", 0);
    require(get("up"), axis("up", 0) == rows());
    if (!has("mid"))
      return require(get("down"), axis("down", 0) == outer && count_of("down") == outer * width());
    core("mid", outer, axis("down", 0));
    require(get("down"), count_of("down") == axis("down", 0) * in());
  }

  void glora() const {
    lora();
    require(get("w1_a"), axis("w1_a", 0) == in() && count_of("w1_a") % in() == 0);
    const size_t rank = count_of("w1_a") / in();
    require(get("w1_b"), axis("w1_b", 0) == rank && count_of("w1_b") == rank * in());
  }

  // [outer, inner, kh, kw]
  void core(const char* role, size_t outer, size_t inner) const {
    require(get(role), axis(role, 0) == outer && axis(role, 1) == inner &&
                           count_of(role) == outer * inner * taps());
  }

  void half(const char* a, const char* b, const char* core_role) const {
    if (has(core_role)) {
      core(core_role, axis(a, 0), axis(b, 0));
      require(get(a), count_of(a) == axis(a, 0) * rows());
      return require(get(b), count_of(b) == axis(b, 0) * in());
    }
    require(get(a), axis(a, 0) == rows() && count_of(a) % rows() == 0);
    const size_t rank = count_of(a) / rows();
    require(get(b), axis(b, 0) == rank && count_of(b) == rank * width());
  }

  void lokr() const {
    size_t out1 = 0, in1 = 0;
    if (has("w1")) {
      out1 = axis("w1", 0);
      in1 = count_of("w1") / out1;
    } else {
      const size_t rank = axis("w1_b", 0);
      out1 = axis("w1_a", 0);
      in1 = count_of("w1_b") / rank;
      require(get("w1_a"), count_of("w1_a") == out1 * rank);
    }
    const bool fits = rows() % out1 == 0 && in() % in1 == 0;
    require(get(has("w1") ? "w1" : "w1_a"), fits);
    const size_t out2 = rows() / out1, in2 = in() / in1;
    if (has("w2"))
      return require(get("w2"), axis("w2", 0) == out2 && count_of("w2") == out2 * in2 * taps());
    if (has("t2")) {
      core("t2", axis("w2_a", 0), axis("w2_b", 0));
      require(get("w2_a"), count_of("w2_a") == axis("w2_a", 0) * out2);
      return require(get("w2_b"), count_of("w2_b") == axis("w2_b", 0) * in2);
    }
    const size_t rank = axis("w2_b", 0);
    require(get("w2_b"), count_of("w2_b") == rank * in2 * taps());
    require(get("w2_a"), axis("w2_a", 0) == out2 && count_of("w2_a") == out2 * rank);
  }

  void magnitude() const {
    if (term_.kind == AdapterKind::ia3 || term_.kind == AdapterKind::full)
      fail("has a magnitude, which goes with factors only");
    const SourceTensor& magnitude = get("magnitude");
    const size_t wanted = is_of_inputs(term_, weight_) ? in() : rows();
    require(magnitude, magnitude.count == wanted);
  }

  const AdapterTerm& term_;
  const std::string& name_;
  const SourceTensor& weight_;
};

}  // namespace

bool is_of_inputs(const AdapterTerm& term, const SourceTensor& weight) {
  const std::vector<int64_t>& shape = term.tensors.at("magnitude").shape;
  return term.rule == MagnitudeRule::interpolated && shape.size() > 1 && shape[0] == 1 &&
         weight.shape[0] != 1;
}

void check_term(const AdapterTerm& term, const std::string& name, const SourceTensor& weight) {
  Check(term, name, weight).run();
}

}  // namespace deepcache

#include <cstring>

#include "cpu/op.h"
#include "runtime/error.h"

namespace deepcache::cpu {
namespace {

class PickTokenOp : public CpuOp {
 public:
  explicit PickTokenOp(const PickToken& op) : op_(op) {}

  void run(const RunContext& context) const override {
    const int32_t* index = context.ints(op_.index);
    const size_t width = op_.x.shape.c, length = op_.x.shape.rows() / op_.x.shape.n;
    for (int n = 0; n < op_.x.shape.n; n++) {
      if (index[n] < 0 || size_t(index[n]) >= length)
        throw Error(ErrorCode::kInvalidArgument, "token " + std::to_string(index[n]) +
                                                     " of a sequence of " + std::to_string(length) +
                                                     " cannot be picked");
      std::memcpy(context.floats(op_.y) + n * width,
                  context.floats(op_.x) + (n * length + index[n]) * width, width * sizeof(float));
    }
  }

 private:
  PickToken op_;
};

}  // namespace

std::unique_ptr<CpuOp> make_op(const PickToken& op, const OpContext&) {
  return std::make_unique<PickTokenOp>(op);
}

}  // namespace deepcache::cpu

#include "more_inputs.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace deepcache {
namespace {

const std::string kFirst = "conv_in.weight";

class WithMoreInputs : public WeightSource, ComputedTensor {
 public:
  WithMoreInputs(std::shared_ptr<WeightSource> source, int channels) : source_(std::move(source)) {
    const SourceTensor* const own = source_->find(kFirst);
    // Whatever else is wrong with it is said where it is asked for.
    if (!own || own->shape.size() != 4 || own->shape[1] < 1 || own->shape[1] >= channels) return;
    view_.shape = own->shape;
    view_.shape[1] = channels;
    view_.count = own->count / size_t(own->shape[1]) * size_t(channels);
    view_.computed = this;
  }

  const SourceTensor* find(const std::string& name) const override {
    return view_.computed && name == kFirst ? &view_ : source_->find(name);
  }
  std::vector<std::string> names() const override { return source_->names(); }
  std::string stored_name(const std::string& name) const override {
    return source_->stored_name(name);
  }
  std::string description() const override { return source_->description(); }
  void release() override { source_->release(); }

  void read(size_t offset, size_t count, float* out) const override {
    const SourceTensor& own = *source_->find(kFirst);
    const size_t wide = view_.count / size_t(view_.shape[0]);
    const size_t width = own.count / size_t(own.shape[0]);
    for (size_t done = 0; done < count;) {
      const size_t row = (offset + done) / wide, at = (offset + done) % wide;
      const size_t some = std::min(count - done, (at < width ? width : wide) - at);
      if (at < width)
        read_floats(own, row * width + at, some, out + done);
      else
        std::fill_n(out + done, some, 0.0f);
      done += some;
    }
  }

 private:
  std::shared_ptr<WeightSource> source_;
  SourceTensor view_;
};

}  // namespace

std::shared_ptr<WeightSource> with_more_inputs(std::shared_ptr<WeightSource> source, int channels) {
  return std::make_shared<WithMoreInputs>(std::move(source), channels);
}

}  // namespace deepcache

#pragma once

namespace deepcache::cuda {

// What becomes of a product's sums.
enum class Finish {
  plain,     // written
  residual,  // added to another tensor
  general,   // activation, scales, perhaps a residual
  geglu,
  apart,  // kept in fp32 for another kernel
  // The same, and the sums of y's rows are gathered.
  plain_summed,
  residual_summed,
  // The same of sums of rows that are normalised here.
  plain_normed,
  geglu_normed,
};

constexpr bool is_summed(Finish finish) {
  return finish == Finish::plain_summed || finish == Finish::residual_summed;
}
constexpr bool is_normed(Finish finish) {
  return finish == Finish::plain_normed || finish == Finish::geglu_normed;
}

// As constants of the type, which device code may use.
template <Finish kFinish>
constexpr bool kIsSummed = is_summed(kFinish);
template <Finish kFinish>
constexpr bool kIsNormed = is_normed(kFinish);
// What becomes of values beside that.
template <Finish kFinish>
constexpr Finish kUnfolded =
    kFinish == Finish::plain_summed || kFinish == Finish::plain_normed ? Finish::plain
    : kFinish == Finish::residual_summed                               ? Finish::residual
    : kFinish == Finish::geglu_normed                                  ? Finish::geglu
                                                                       : kFinish;

}  // namespace deepcache::cuda

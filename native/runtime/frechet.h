#pragma once

// What the Fréchet distance of two normal distributions needs of their covariances.

#include <cstddef>
#include <vector>

#include "backend.h"

namespace deepcache {

// The factor F of a positive semidefinite matrix, [n, n] with A = transposed(F) * F, in the place
// of A. F is upper triangular; rows of what is singular are zeros.
void factorize(std::vector<double>& matrix, size_t n, const CancelFlag* cancel);

// The eigenvalues of a symmetric matrix [n, n], of which the lower triangle counts and is
// destroyed. In no order.
std::vector<double> symmetric_eigenvalues(std::vector<double>& matrix, size_t n,
                                          const CancelFlag* cancel);

// tr((A * B)^(1/2)) of positive semidefinite A = transposed(F) * F and B: the sum of the roots of
// the eigenvalues of F * B * transposed(F), which is symmetric and has those of A * B except for
// zeros. Eigenvalues that rounding made negative count as zero. `factor` is F, [rows, width], `b`
// [width, width]. On up to `workers` threads.
double trace_of_root(const std::vector<double>& factor, size_t rows, const std::vector<double>& b,
                     size_t width, int workers, const CancelFlag* cancel);

}  // namespace deepcache

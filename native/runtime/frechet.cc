#include "frechet.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "error.h"
#include "parallel.h"

namespace deepcache {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
constexpr size_t kRows = 32;      // of a product, that a thread computes at a time
constexpr size_t kColumns = 512;  // of those: they stay in the caches
constexpr int kMostTurns = 100;   // until an eigenvalue stands; published programs allow 30

double dot(const double* a, const double* b, size_t count) {
  // Sums that do not wait for each other.
  double sums[8] = {};
  size_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (size_t k = 0; k < 8; k++) sums[k] += a[i + k] * b[i + k];
  for (; i < count; i++) sums[0] += a[i] * b[i];
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

// Rows [first, first + count) of x * b.
void multiply(const double* x, const double* b, size_t width, size_t first, size_t count,
              double* out) {
  for (size_t c = 0; c < width; c += kColumns) {
    const size_t some = std::min(kColumns, width - c);
    for (size_t k = 0; k < width; k++) {
      const double* const row = b + k * width + c;
      for (size_t i = first; i < first + count; i++) {
        const double factor = x[i * width + k];
        double* const to = out + i * width + c;
        for (size_t j = 0; factor != 0 && j < some; j++) to[j] += factor * row[j];
      }
    }
  }
}

// Householder's reflections, from the last row to the first: what is left are a diagonal and the
// values beside it, `beside[i]` between i - 1 and i. (EISPACK's tred1.)
void to_tridiagonal(std::vector<double>& a, size_t n, std::vector<double>& diagonal,
                    std::vector<double>& beside, const CancelFlag* cancel) {
  std::vector<double> p(n);
  for (size_t i = n; i-- > 0;) {
    check_cancelled(cancel);
    double* const u = &a[i * n];  // the row before its diagonal
    diagonal[i] = u[i];
    double scale = 0;
    for (size_t k = 0; k < i; k++) scale = std::max(scale, std::abs(u[k]));
    if (i < 2 || scale == 0) {
      beside[i] = i == 0 ? 0 : u[i - 1];
      continue;
    }
    for (size_t k = 0; k < i; k++) u[k] /= scale;
    const double square = dot(u, u, i);
    const double length = std::copysign(std::sqrt(square), u[i - 1]);
    beside[i] = -length * scale;
    const double half = square + std::abs(length * u[i - 1]);  // half of u's square, from here on
    u[i - 1] += length;
    // p = A u / half, of the lower triangle alone.
    std::fill_n(p.begin(), i, 0.0);
    for (size_t j = 0; j < i; j++) {
      const double* const row = &a[j * n];
      const double own = u[j];
      for (size_t k = 0; k < j; k++) p[k] += row[k] * own;
      p[j] += dot(row, u, j) + row[j] * own;
    }
    for (size_t j = 0; j < i; j++) p[j] /= half;
    const double share = dot(u, p.data(), i) / (2 * half);
    for (size_t j = 0; j < i; j++) p[j] -= share * u[j];
    for (size_t j = 0; j < i; j++) {
      double* const row = &a[j * n];
      const double u_j = u[j], p_j = p[j];
      for (size_t k = 0; k <= j; k++) row[k] -= u_j * p[k] + p_j * u[k];
    }
  }
}

// QL with implicit shifts: the diagonal becomes the eigenvalues. (EISPACK's imtql1.)
void diagonalize(std::vector<double>& d, std::vector<double>& e) {
  const size_t n = d.size();
  std::rotate(e.begin(), e.begin() + 1, e.end());  // e[i] between i and i + 1
  e[n - 1] = 0;
  for (size_t l = 0; l < n; l++) {
    for (int turn = 0;; turn++) {
      size_t m = l;
      while (m + 1 < n && std::abs(e[m]) > kEpsilon * (std::abs(d[m]) + std::abs(d[m + 1]))) m++;
      if (m == l) break;
      if (turn == kMostTurns)
        throw Error(ErrorCode::kInternal, "the eigenvalues of a matrix do not converge");
      double g = (d[l + 1] - d[l]) / (2 * e[l]);
      g = d[m] - d[l] + e[l] / (g + std::copysign(std::hypot(g, 1.0), g));
      double s = 1, c = 1, p = 0;
      bool is_split = false;
      for (size_t i = m; i-- > l;) {
        const double f = s * e[i], b = c * e[i];
        const double r = std::hypot(f, g);
        e[i + 1] = r;
        if (r == 0) {
          d[i + 1] -= p;
          e[m] = 0;
          is_split = true;
          break;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        const double t = (d[i] - g) * s + 2 * c * b;
        p = s * t;
        d[i + 1] = g + p;
        g = c * t - b;
      }
      if (is_split) continue;
      d[l] -= p;
      e[l] = g;
      e[m] = 0;
    }
  }
}

}  // namespace

void factorize(std::vector<double>& matrix, size_t n, const CancelFlag* cancel) {
  double largest = 0;
  for (size_t i = 0; i < n; i++) largest = std::max(largest, matrix[i * n + i]);
  // What is left of a pivot that is zero.
  const double least = largest * double(n) * kEpsilon;
  for (size_t k = 0; k < n; k++) {
    check_cancelled(cancel);
    double* const row = &matrix[k * n];
    std::fill_n(row, k, 0.0);
    const double pivot = row[k];
    if (!(pivot > least)) {
      std::fill(row + k, row + n, 0.0);
      continue;
    }
    const double root = std::sqrt(pivot);
    for (size_t j = k; j < n; j++) row[j] /= root;
    for (size_t i = k + 1; i < n; i++) {
      double* const to = &matrix[i * n];
      const double factor = row[i];
      for (size_t j = i; j < n; j++) to[j] -= factor * row[j];
    }
  }
}

std::vector<double> symmetric_eigenvalues(std::vector<double>& matrix, size_t n,
                                          const CancelFlag* cancel) {
  std::vector<double> diagonal(n), beside(n);
  if (n == 0) return diagonal;
  to_tridiagonal(matrix, n, diagonal, beside, cancel);
  diagonalize(diagonal, beside);
  return diagonal;
}

double trace_of_root(const std::vector<double>& factor, size_t rows, const std::vector<double>& b,
                     size_t width, int workers, const CancelFlag* cancel) {
  std::vector<double> product(rows * width), square(rows * rows);
  const size_t parts = (rows + kRows - 1) / kRows;
  parallel_for(parts, workers, [&](size_t part, int) {
    check_cancelled(cancel);
    const size_t first = part * kRows, count = std::min(kRows, rows - first);
    multiply(factor.data(), b.data(), width, first, count, product.data());
  });
  parallel_for(rows, workers, [&](size_t i, int) {
    for (size_t j = 0; j <= i; j++)
      square[i * rows + j] = dot(&product[i * width], &factor[j * width], width);
  });
  double sum = 0;
  for (const double value : symmetric_eigenvalues(square, rows, cancel))
    sum += std::sqrt(std::max(value, 0.0));
  return sum;
}

}  // namespace deepcache

// Traces of roots of products, against closed forms.

#include "native/runtime/frechet.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "native/runtime/error.h"
#include "test.h"

namespace deepcache::test {
namespace {

using Matrix = std::vector<double>;

Matrix random_rows(size_t rows, size_t width, unsigned seed) {
  std::mt19937 engine(seed);
  Matrix out(rows * width);
  for (double& value : out) value = double(engine()) / 4294967296.0 - 0.5;
  return out;
}

// transposed(F) * F
Matrix square_of(const Matrix& factor, size_t rows, size_t width) {
  Matrix out(width * width);
  for (size_t r = 0; r < rows; r++)
    for (size_t i = 0; i < width; i++)
      for (size_t j = 0; j < width; j++)
        out[i * width + j] += factor[r * width + i] * factor[r * width + j];
  return out;
}

double trace(const Matrix& matrix, size_t width) {
  double sum = 0;
  for (size_t i = 0; i < width; i++) sum += matrix[i * width + i];
  return sum;
}

double root_of_product(Matrix a, const Matrix& b, size_t width) {
  factorize(a, width, nullptr);
  return trace_of_root(a, width, b, width, 2, nullptr);
}

void check_near(double value, double expected, double error = 1e-9) {
  CHECK(std::abs(value - expected) <= error * std::max(1.0, std::abs(expected)));
}

constexpr double kPi = 3.14159265358979323846;

}  // namespace

TEST(eigenvalues_of_a_chain_are_known) {
  // 2 on the diagonal, -1 beside it: 2 - 2 cos(k pi / (n + 1)).
  for (const size_t n : {size_t(1), size_t(2), size_t(7), size_t(64)}) {
    Matrix chain(n * n);
    for (size_t i = 0; i < n; i++) {
      chain[i * n + i] = 2;
      if (i > 0) chain[i * n + i - 1] = -1;
    }
    std::vector<double> values = symmetric_eigenvalues(chain, n, nullptr);
    std::sort(values.begin(), values.end());
    for (size_t k = 0; k < n; k++)
      check_near(values[k], 2 - 2 * std::cos(double(k + 1) * kPi / double(n + 1)), 1e-12);
  }
}

TEST(eigenvalues_of_full_matrices_have_their_traces) {
  const size_t n = 53;
  const Matrix matrix = square_of(random_rows(n, n, 1), n, n);
  // The traces of the matrix and of its square and cube.
  double wanted[3] = {trace(matrix, n), 0, 0};
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < n; j++) {
      const double value = matrix[i * n + j];
      wanted[1] += value * value;
      for (size_t k = 0; k < n; k++) wanted[2] += value * matrix[j * n + k] * matrix[k * n + i];
    }
  Matrix lower = matrix;
  for (size_t i = 0; i < n; i++) std::fill(&lower[i * n] + i + 1, &lower[i * n] + n, 1e9);
  double sums[3] = {};
  for (const double value : symmetric_eigenvalues(lower, n, nullptr))
    for (int power = 0; power < 3; power++) sums[power] += std::pow(value, power + 1);
  for (int power = 0; power < 3; power++) check_near(sums[power], wanted[power], 1e-11);
}

TEST(a_factor_gives_its_matrix_also_where_that_is_singular) {
  const size_t width = 40;
  for (const size_t rows : {size_t(60), size_t(40), size_t(11)}) {
    const Matrix matrix = square_of(random_rows(rows, width, 3), rows, width);
    Matrix factor = matrix;
    factorize(factor, width, nullptr);
    const Matrix again = square_of(factor, width, width);
    for (size_t i = 0; i < matrix.size(); i++) CHECK(std::abs(again[i] - matrix[i]) < 1e-7);
  }
  Matrix nothing(9);
  factorize(nothing, 3, nullptr);
  CHECK(nothing == Matrix(9));
}

TEST(diagonals_have_the_roots_of_their_products) {
  const size_t width = 9;
  Matrix a(width * width), b(width * width);
  double wanted = 0;
  for (size_t i = 0; i < width; i++) {
    a[i * (width + 1)] = double(i);  // the first is zero
    b[i * (width + 1)] = 0.1 + double(i * i % 5);
    wanted += std::sqrt(double(i) * b[i * (width + 1)]);
  }
  check_near(root_of_product(a, b, width), wanted, 1e-12);
}

TEST(two_by_two_matrices_have_a_closed_form) {
  // tr((A B)^(1/2)) = (tr(A B) + 2 (det(A) det(B))^(1/2))^(1/2)
  const Matrix a = {2, 0.7, 0.7, 1}, b = {0.5, -0.3, -0.3, 3};
  const double product = 2 * 0.5 + 2 * 0.7 * -0.3 + 1 * 3;
  const double roots = std::sqrt((2 - 0.49) * (1.5 - 0.09));
  check_near(root_of_product(a, b, 2), std::sqrt(product + 2 * roots), 1e-12);
}

TEST(a_matrix_and_itself_have_its_trace) {
  const size_t width = 70;
  for (const size_t rows : {size_t(90), size_t(20)}) {
    const Matrix factor = random_rows(rows, width, 5);
    const Matrix matrix = square_of(factor, rows, width);
    check_near(root_of_product(matrix, matrix, width), trace(matrix, width), 1e-6);
    check_near(trace_of_root(factor, rows, matrix, width, 2, nullptr), trace(matrix, width), 1e-6);
  }
}

TEST(rows_and_the_covariance_of_them_are_the_same) {
  const size_t width = 45;
  const Matrix b = square_of(random_rows(100, width, 8), 100, width);
  for (const size_t rows : {size_t(1), size_t(7), size_t(45)}) {
    const Matrix factor = random_rows(rows, width, 9);
    check_near(trace_of_root(factor, rows, b, width, 2, nullptr),
               root_of_product(square_of(factor, rows, width), b, width), 1e-6);
  }
}

TEST(a_distance_is_stopped) {
  const CancelFlag cancel{true};
  Matrix a = square_of(random_rows(4, 4, 1), 4, 4);
  CHECK_THROWS(factorize(a, 4, &cancel), ErrorCode::kAborted);
  CHECK_THROWS(trace_of_root(a, 4, a, 4, 1, &cancel), ErrorCode::kAborted);
}

}  // namespace deepcache::test

#include "noise_window.h"

#include <algorithm>
#include <climits>

namespace deepcache {

NoiseWindow::NoiseWindow(StepTable& table, int batch, int rows_in_flight) {
  const int rows = int(table.rows.size());
  std::vector<int> lowest(size_t(rows) + 1, INT_MAX);  // that a row, or one after it, reads
  needed_.resize(size_t(rows));
  for (int row = rows - 1; row >= 0; --row) {
    const StepRow& at = table.rows[size_t(row)];
    lowest[size_t(row)] = lowest[size_t(row) + 1];
    for (int sample = 0; at.has_noise && sample < batch; ++sample) {
      const int draw = int(table.value(at.noise, sample));
      lowest[size_t(row)] = std::min(lowest[size_t(row)], draw);
      needed_[size_t(row)] = std::max(needed_[size_t(row)], draw + 1);
    }
  }
  int made = 0;
  for (int row = 0; row < rows; ++row) {
    made = needed_[size_t(row)] = std::max(made, needed_[size_t(row)]);
    const int kept = lowest[size_t(std::max(0, row - rows_in_flight + 1))];
    if (kept < made) size_ = std::max(size_, made - kept);
  }
  for (const StepRow& row : table.rows)
    for (uint32_t sample = 0; row.has_noise && sample < (row.noise.stride ? uint32_t(batch) : 1u);
         ++sample) {
      float& draw = table.values[row.noise.offset + sample];
      draw = float(int(draw) % size_);
    }
}

}  // namespace deepcache

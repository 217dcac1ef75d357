#pragma once

#include <vector>

#include "table.h"

namespace deepcache {

// Which draws of noise a run has in memory: each is made just before the first row that reads it,
// and takes the place of one that no row will read again. A thousand rows need two or three.
class NoiseWindow {
 public:
  // Changes the table's numbers of draws to their places. `rows_in_flight`: rows that may still
  // read theirs when another one is prepared, that one included.
  NoiseWindow(StepTable& table, int batch, int rows_in_flight);

  // Draws that are there at once.
  int size() const { return size_; }
  // Calls make(place) for the draws that the row needs and that are not there, in their order.
  template <typename Make>
  void prepare(int row, const Make& make) {
    for (; made_ < needed_[size_t(row)]; ++made_) make(made_ % size_);
  }

 private:
  std::vector<int> needed_;  // how many draws have been read after each row
  int size_ = 1, made_ = 0;
};

}  // namespace deepcache

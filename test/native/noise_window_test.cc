#include "runtime/noise_window.h"

#include <algorithm>
#include <vector>

#include "test.h"

using namespace deepcache;

namespace {

// A table whose rows read the given draws, one for each sample; none: no noise.
StepTable table_of(const std::vector<std::vector<int>>& rows) {
  StepTable table;
  for (const std::vector<int>& draws : rows) {
    StepRow row;
    row.has_noise = !draws.empty();
    row.noise = {uint32_t(table.values.size()), draws.size() > 1 ? 1u : 0u};
    for (const int draw : draws) table.values.push_back(float(draw));
    table.rows.push_back(row);
  }
  return table;
}

// Runs the rows: every one must find the draws that it names, and no draw that a row in flight
// reads may be lost.
int run(const std::vector<std::vector<int>>& rows, int batch, int in_flight) {
  StepTable table = table_of(rows);
  NoiseWindow window(table, batch, in_flight);
  std::vector<int> places(size_t(window.size()), -1);
  int made = 0;
  for (int row = 0; row < int(rows.size()); ++row) {
    window.prepare(row, [&](int place) { places[size_t(place)] = made++; });
    for (int at = std::max(0, row - in_flight + 1); at <= row; ++at)
      for (int sample = 0; !rows[size_t(at)].empty() && sample < batch; ++sample) {
        const int wanted = rows[size_t(at)][rows[size_t(at)].size() > 1 ? size_t(sample) : 0];
        CHECK_EQ(places[size_t(table.value(table.rows[size_t(at)].noise, sample))], wanted);
      }
  }
  return window.size();
}

}  // namespace

TEST(noise_window_of_a_long_run) {
  std::vector<std::vector<int>> rows;
  for (int i = 0; i < 1000; ++i) rows.push_back({i});
  CHECK_EQ(run(rows, 2, 1), 1);
  CHECK_EQ(run(rows, 2, 2), 2);
}

TEST(noise_window_of_unusual_tables) {
  CHECK_EQ(run({{}, {0}, {}, {}, {1}, {}}, 1, 2), 1);
  CHECK_EQ(run({{0, 2}, {1, 1}, {2, 0}}, 2, 1), 3);        // against each other
  CHECK_EQ(run({{0}, {1}, {2}, {0}, {3}}, 1, 1), 3);       // read again
  CHECK_EQ(run({{0}, {0}, {1}, {1}, {2}, {2}}, 1, 2), 2);  // twice each
  CHECK_EQ(run({{3}, {4}, {5}}, 1, 1), 1);                 // those before are made, and dropped
  CHECK_EQ(run({{}, {}}, 1, 2), 1);
}

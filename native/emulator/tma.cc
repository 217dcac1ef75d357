#include "tma.h"

#include <algorithm>
#include <cstring>

#include "async_proxy.h"
#include "cluster.h"
#include "mbarrier.h"
#include "previous_grid.h"
#include "scheduler.h"
#include "shared_memory.h"
#include "swizzle.h"
#include "tensor_map.h"

namespace deepcache::emulator {
namespace {

using Coordinates = std::vector<int>;

// Visits the rows of a box with the coordinates of each row's first value.
template <typename Visit>
void for_rows(const MapFields& map, const Coordinates& first, const Visit& visit) {
  for (int row = 0; row < map.rows(); row++) {
    Coordinates at = first;
    int rest = row;
    for (int i = 1; i < map.axes; i++) {
      at[i] += rest % map.box[i] * map.stride[i];
      rest /= map.box[i];
    }
    visit(row, at);
  }
}

// Visits the pixels that a tap meets: base pixels run along w, then h, inside of the corners, then
// over the images; the tap lies `offsets` from the base pixel.
template <typename Visit>
void for_pixels(const MapFields& map, const Coordinates& first, const std::array<int, 2>& offsets,
                const Visit& visit) {
  Coordinates base = first;
  for (int row = 0; row < map.rows(); row++) {
    visit(row, Coordinates{base[0], base[1] + offsets[0], base[2] + offsets[1], base[3]});
    for (int i = 1; i < 4; i++) {
      base[i] += map.stride[i];
      if (i == 3 || base[i] < int(map.size[i]) + map.upper[i - 1]) break;
      base[i] = map.lower[i - 1];
    }
  }
}

// Where the part of a row that is in the tensor lies: values [first, last) of the row, and the
// address of the row's value 0.
struct RowPart {
  long first = 0, last = 0;
  char* data = nullptr;
};

RowPart inside(const MapFields& map, const Coordinates& at) {
  RowPart part;
  long long offset = 0;
  for (int i = 0; i < map.axes; i++) {
    if (i && (at[i] < 0 || at[i] >= long(map.size[i]))) return part;
    offset += (long long)(at[i]) * (long long)(map.step_bytes[i]);
  }
  part.first = std::clamp<long>(-long(at[0]), 0, map.box[0]);
  part.last = std::clamp<long>(long(map.size[0]) - at[0], part.first, map.box[0]);
  part.data = map.data + offset;
  return part;
}

// Calls `visit` with (16-byte chunk in shared memory, its values that are in the tensor [first,
// last), and the address of the chunk's value 0 in global memory).
template <typename Visit>
void for_chunks(const MapFields& map, const Block& block, char* shared, int row,
                const Coordinates& at, const Visit& visit) {
  const RowPart part = inside(map, at);
  const int values = 16 / map.value_bytes;
  const size_t start = size_t(shared - block.shared) + row * map.row_bytes();
  for (int v = 0; v < map.box[0]; v += values) {
    char* const chunk =
        block.shared + swizzled(uint32_t(start + size_t(v) * map.value_bytes), map.swizzle);
    const int first = int(std::clamp<long>(part.first - v, 0, values));
    const int last = int(std::clamp<long>(part.last - v, first, values));
    visit(chunk, first * map.value_bytes, last * map.value_bytes, part.data + v * map.value_bytes);
  }
}

void load_row(const MapFields& map, Block& block, char* to, int row, const Coordinates& at) {
  for_chunks(map, block, to, row, at, [&](char* chunk, int first, int last, const char* from) {
    char values[16] = {};
    if (first < last) std::memcpy(values + first, from + first, last - first);
    note_write(chunk, 16);
    write_both(block, chunk, values, 16);
  });
}

// What a store has read and not yet written.
struct Part {
  char* to;
  int bytes;
  char values[16];
};

std::vector<Part> read_box(const MapFields& map, Block& block, char* from, const Coordinates& at) {
  std::vector<Part> parts;
  for_rows(map, at, [&](int row, const Coordinates& place) {
    for_chunks(map, block, from, row, place, [&](char* chunk, int first, int last, char* to) {
      note_read(chunk, 16);
      if (first == last) return;
      Part part{to + first, last - first, {}};
      std::memcpy(part.values, block.shadow + (chunk - block.shared) + first, last - first);
      parts.push_back(part);
    });
  });
  return parts;
}

// TMA's alignment, and that of a swizzle's pattern, which depends on addresses.
void require_box(const void* shared, const MapFields& map, const char* what, const char* file,
                 int line) {
  require_shared(shared, map.bytes(), size_t(128) << map.swizzle, what, file, line);
}

void start(AsyncOp op) {
  happens_before(&engine_token);
  add_async(std::move(op));
}

// `visit_box(load)` calls load(row, coordinates) for the rows of the box.
template <typename VisitBox>
void load(Block& block, void* to, const MapFields& map, void* barrier, const VisitBox& visit_box,
          const char* file, int line) {
  require_box(to, map, "TMA load", file, line);
  require_ordered(map.data, "TMA load", file, line);
  char *const target = same_place(block, to), *const full = same_place(block, barrier);
  mbarrier_require_fenced(block, full, file, line);
  const size_t bytes = map.bytes();
  statistics.tma_bytes += bytes;
  mark_loaded(block, target, bytes);
  fill_both(block, target, 0xff, bytes);
  const auto run = [=, &block] {
    visit_box([&](int row, const Coordinates& at) { load_row(map, block, target, row, at); });
    mbarrier_complete(block, full, int64_t(bytes), file, line);
  };
  start({AsyncOp::load, run, current, false, false, &block});
}

// What the running thread's committed stores have left to do.
void run_stores(AsyncOp::Kind kind) {
  for (size_t i = 0; i < async_ops.size();) {
    const AsyncOp& op = async_ops[i];
    if (op.kind == kind && op.issuer == current && op.committed)
      run_async(i);
    else
      i++;
  }
}

}  // namespace

void tma_load(void* to, const CUtensorMap* map, void* barrier, Coordinates coordinates,
              const char* file, int line) {
  Internal internal;
  const MapFields fields = decode(map, coordinates.size(), false, file, line);
  const auto rows = [=](const auto& visit) { for_rows(fields, coordinates, visit); };
  load(*current->block, to, fields, barrier, rows, file, line);
}

void tma_load_to_cluster(void* to, const CUtensorMap* map, void* barrier, unsigned blocks,
                         Coordinates coordinates, const char* file, int line) {
  Internal internal;
  const MapFields fields = decode(map, coordinates.size(), false, file, line);
  const auto rows = [=](const auto& visit) { for_rows(fields, coordinates, visit); };
  if (blocks == 0 || blocks >> 16) fail(file, line, "TMA load: to the blocks %x", blocks);
  for (int rank = 0; blocks >> rank; rank++)
    if (blocks >> rank & 1)
      load(cluster_block(rank, "TMA load", file, line), to, fields, barrier, rows, file, line);
}

void tma_load_im2col(void* to, const CUtensorMap* map, void* barrier, Coordinates coordinates,
                     std::array<int, 2> offsets, const char* file, int line) {
  Internal internal;
  const MapFields fields = decode(map, coordinates.size(), true, file, line);
  for (const int offset : offsets)
    if (offset < 0 || offset > 255) fail(file, line, "TMA: im2col offset %d", offset);
  const auto pixels = [=](const auto& visit) { for_pixels(fields, coordinates, offsets, visit); };
  load(*current->block, to, fields, barrier, pixels, file, line);
}

void tma_store(const CUtensorMap* map, const void* from, Coordinates coordinates, const char* file,
               int line) {
  Internal internal;
  const MapFields fields = decode(map, coordinates.size(), false, file, line);
  require_box(from, fields, "TMA store", file, line);
  require_ordered(fields.data, "TMA store", file, line);
  statistics.tma_bytes += fields.bytes();
  Block* const block = current->block;
  Fiber* const issuer = current;
  char* const source = static_cast<char*>(const_cast<void*>(from));
  mark_stored(*block, source, fields.bytes());
  const auto read = [=] {
    const auto parts = read_box(fields, *block, source, coordinates);
    const auto write = [parts] {
      for (const Part& part : parts) {
        note_write(part.to, size_t(part.bytes));
        std::memcpy(part.to, part.values, size_t(part.bytes));
      }
    };
    add_async({AsyncOp::store_write, write, issuer, true});
  };
  start({AsyncOp::store_read, read, issuer});
}

void tma_store_commit() {
  Internal internal;
  for (AsyncOp& op : async_ops)
    if (op.issuer == current) op.committed = true;
}

void tma_store_wait(bool written) {
  Internal internal;
  run_stores(AsyncOp::store_read);
  if (written) run_stores(AsyncOp::store_write);
  happens_after(&current->store_token);
}

}  // namespace deepcache::emulator

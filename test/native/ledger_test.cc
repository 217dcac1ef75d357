#include "runtime/ledger.h"

#include "cpu/buffer.h"
#include "test.h"

using namespace deepcache;

namespace {

constexpr size_t kMiB = size_t(1) << 20;

// A device of 100 bytes, of which nothing is ever used.
struct Device {
  explicit Device(const char* name) : ledger(Ledger::of(name)) {}
  std::shared_ptr<Reservation> reserve(size_t bytes, std::shared_ptr<Reservation> run = nullptr) {
    return ledger.reserve(
        bytes, [] { return size_t(100); }, std::move(run));
  }
  size_t left() const { return ledger.left_of(100); }
  Ledger& ledger;
};

}  // namespace

TEST(ledger_promises_nothing_twice) {
  Device device("ledger test");
  auto first = device.reserve(60);
  CHECK(first != nullptr);
  CHECK(device.reserve(41) == nullptr);
  auto second = device.reserve(40);
  CHECK(second != nullptr);
  CHECK_EQ(device.left(), size_t(0));
  first->spend(25);  // the system counts it now, were it a real one
  CHECK_EQ(device.left(), size_t(25));
  first->spend(1000);
  CHECK_EQ(device.left(), size_t(60));
  second.reset();
  first.reset();
  CHECK_EQ(device.left(), size_t(100));
  CHECK(device.reserve(0) != nullptr);
}

TEST(ledger_runs_hand_on_their_memory) {
  Device device("ledger runs");
  auto run = device.reserve(80);
  auto part = device.reserve(50, run);
  CHECK_EQ(device.left(), size_t(20));
  part->spend();
  CHECK_EQ(device.left(), size_t(70));
  part.reset();  // freed: the run may allocate it again
  CHECK_EQ(device.left(), size_t(20));
  auto more = device.reserve(95, run);  // 80 of its own, 15 of what is free
  CHECK(more != nullptr);
  CHECK(device.reserve(30, run) == nullptr);
  CHECK_EQ(device.left(), size_t(5));
  more->spend();
  run->release();
  more.reset();  // whose run is over
  CHECK_EQ(device.left(), size_t(100));
  Device other("ledger other");
  auto elsewhere = device.reserve(10);
  CHECK(other.reserve(100, elsewhere) != nullptr);  // another device's memory is no help, nor harm
}

TEST(ledger_counts_untouched_memory) {
#if defined(__linux__)
  const size_t before = untouched_bytes();
  {
    cpu::Memory memory(64 * kMiB);
    CHECK(untouched_bytes() >= before + 63 * kMiB);
    for (size_t i = 0; i < memory.bytes(); i += 4096) memory.data()[i] = 1;
    CHECK_EQ(untouched_bytes(), before);
  }
  CHECK_EQ(untouched_bytes(), before);
#endif
}

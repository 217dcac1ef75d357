#include "ledger.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace deepcache {
namespace {

struct Block {
  size_t bytes;
  bool touched = false;  // all of it
};

struct Blocks {
  std::mutex mutex;
  std::map<const void*, Block> by_address;
};

Blocks& blocks() {
  static Blocks& instance = *new Blocks;
  return instance;
}

size_t untouched(const void* data, size_t bytes) {
#if defined(__linux__)
  static const size_t page = size_t(sysconf(_SC_PAGESIZE));
  constexpr size_t kPages = 1 << 16;  // looked at together
  std::vector<unsigned char> resident(kPages);
  size_t missing = 0;
  for (size_t at = 0; at < bytes; at += kPages * page) {
    const size_t some = std::min(bytes - at, kPages * page), pages = (some + page - 1) / page;
    void* const from = static_cast<char*>(const_cast<void*>(data)) + at;
    if (mincore(from, some, resident.data()) != 0) return missing;
    missing += size_t(std::count_if(resident.begin(), resident.begin() + ptrdiff_t(pages),
                                    [](unsigned char state) { return (state & 1) == 0; })) *
               page;
  }
  return missing;
#else
  (void)data, (void)bytes;
  return 0;
#endif
}

}  // namespace

Reservation::~Reservation() { release(); }

void Reservation::release() {
  std::lock_guard lock(ledger_.mutex_);
  if (released_) return;
  released_ = true;
  ledger_.promised_ -= unspent_;
  unspent_ = 0;
  if (!run_ || run_->released_) return;
  run_->unspent_ += from_run_;
  ledger_.promised_ += from_run_;
}

void Reservation::spend(size_t bytes) {
  std::lock_guard lock(ledger_.mutex_);
  bytes = std::min(bytes, unspent_);
  unspent_ -= bytes;
  ledger_.promised_ -= bytes;
}

Ledger& Ledger::of(const std::string& device) {
  static std::mutex mutex;
  static auto& ledgers = *new std::map<std::string, Ledger>;
  std::lock_guard lock(mutex);
  return ledgers[device];
}

std::shared_ptr<Reservation> Ledger::reserve(size_t bytes, const std::function<size_t()>& available,
                                             std::shared_ptr<Reservation> run) {
  std::lock_guard lock(mutex_);
  const bool has_run = run && &run->ledger_ == this;
  const size_t from_run = has_run ? std::min(bytes, run->unspent_) : 0;
  const size_t rest = bytes - from_run;
  if (rest > 0) {
    const size_t all = available();
    if (rest > all - std::min(all, promised_)) return nullptr;
  }
  std::shared_ptr<Reservation> out(new Reservation(*this, bytes));
  promised_ += rest;
  if (from_run > 0) {
    run->unspent_ -= from_run;
    out->run_ = std::move(run);
    out->from_run_ = from_run;
  }
  return out;
}

size_t Ledger::left_of(size_t available) const {
  std::lock_guard lock(mutex_);
  return available - std::min(available, promised_);
}

std::shared_ptr<Reservation>& reservation_of_run() {
  thread_local std::shared_ptr<Reservation> reservation;
  return reservation;
}

void note_block(const void* data, size_t bytes) {
  std::lock_guard lock(blocks().mutex);
  blocks().by_address[data] = {bytes};
}

void forget_block(const void* data) {
  std::lock_guard lock(blocks().mutex);
  blocks().by_address.erase(data);
}

size_t untouched_bytes() {
  std::lock_guard lock(blocks().mutex);
  size_t sum = 0;
  for (auto& [data, block] : blocks().by_address) {
    if (block.touched) continue;
    const size_t missing = untouched(data, block.bytes);
    block.touched = missing == 0;
    sum += missing;
  }
  return sum;
}

}  // namespace deepcache

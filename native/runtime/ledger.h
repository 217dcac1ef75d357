#pragma once

// Who was promised which memory: jobs that begin at the same time must not count on the same free
// bytes. One ledger for each device; later accounts belong here too.

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

namespace deepcache {

class Ledger;

// Memory that somebody is going to allocate. What has been allocated is spent: from then on the
// system itself counts it. The rest is given back with the object. Any thread may use it.
class Reservation {
 public:
  ~Reservation();
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;

  void spend(size_t bytes);
  void spend() { spend(bytes_); }
  // Gives back what is left, though somebody may still hold the object.
  void release();

 private:
  friend class Ledger;
  Reservation(Ledger& ledger, size_t bytes) : ledger_(ledger), bytes_(bytes), unspent_(bytes) {}

  Ledger& ledger_;
  const size_t bytes_;
  size_t unspent_;
  bool released_ = false;
  // The run that it is a part of, and how much came out of that one's.
  std::shared_ptr<Reservation> run_;
  size_t from_run_ = 0;
};

class Ledger {
 public:
  // By the device's name: "cpu", "cuda:0". Never destroyed.
  static Ledger& of(const std::string& device);

  // Takes the bytes out of the run's reservation as far as that goes, the rest out of what
  // `available` says less what others were promised. Null when there is too little.
  std::shared_ptr<Reservation> reserve(size_t bytes, const std::function<size_t()>& available,
                                       std::shared_ptr<Reservation> run = nullptr);
  // What nobody was promised.
  size_t left_of(size_t available) const;

 private:
  friend class Reservation;
  mutable std::mutex mutex_;
  size_t promised_ = 0;
};

// The reservation of the run that the calling thread works for; null without one.
std::shared_ptr<Reservation>& reservation_of_run();

// Memory of this process that it has, but has not touched, is not missing from the system's free
// memory yet. Large blocks are noted here.
void note_block(const void* data, size_t bytes);
void forget_block(const void* data);
size_t untouched_bytes();

}  // namespace deepcache

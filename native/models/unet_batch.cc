#include "unet_batch.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "../runtime/error.h"

namespace deepcache {

// Rows of one pass.
struct UnetBatch::Group {
  struct Row {
    UnetSlot* slot;
    int call;       // in its table
    Halves halves;  // that its program computes
    int samples() const { return outputs().count * slot->request().batch; }
    // Where its samples begin in its session's buffers.
    int first() const { return outputs().first * slot->request().batch; }
    OutputRange outputs() const { return outputs_of(halves, slot->request().outputs); }
  };
  ProgramKey key;  // of all outputs: the samples of a pass are all that its rows compute
  std::vector<Row> rows;

  int samples() const {
    int sum = 0;
    for (const Row& row : rows) sum += row.samples();
    return sum;
  }
};

namespace {

// A buffer with one part for each sample.
struct Parts {
  Buffer& buffer;
  size_t bytes;  // of a part
  Parts(Buffer& of, int samples) : buffer(of), bytes(of.bytes() / size_t(samples)) {}
  void copy(int to, const Parts& from, int first, int count) const {
    buffer.copy(from.buffer, size_t(count) * bytes, size_t(to) * bytes, size_t(first) * bytes);
  }
};

// Between the buffers of a row's own session and its place in the pass.
class Exchange {
 public:
  Exchange(UnetSession& pass, int at, UnetSession& own, int call, int first, int count)
      : pass_(pass), at_(at), own_(own), call_(call), first_(first), count_(count) {}

  void gather(const ProgramKey& key) const {
    bring(PortKind::sample);
    for (const auto& [port, buffer] : own_.buffers())
      if (port.kind == PortKind::context || port.kind == PortKind::extra_context ||
          port.kind == PortKind::free_u)
        bring(port);
    const bool forecasts = own_.shape().extras.forecasts;
    if (key.kind == ProgramKey::Kind::retrieve) {
      bring({PortKind::feature, key.branch});
      if (forecasts) bring({PortKind::feature_change, key.branch});
    }
    if (forecasts) {
      for (const int branch : own_.features()) bring({PortKind::kept_feature, branch});
      bring_step(PortKind::feature_gamma, own_.shape().batch);
    }
    bring_step(PortKind::time, own_.shape().time_rows);
  }

  void scatter(const ProgramKey& key) const {
    take(PortKind::out);
    if (key.kind != ProgramKey::Kind::full) return;
    for (const int branch : own_.features()) {
      take({PortKind::feature, branch});
      if (!own_.shape().extras.forecasts) continue;
      take({PortKind::kept_feature, branch});
      take({PortKind::feature_change, branch});
    }
  }

 private:
  Parts of_pass(Port port) const { return {*pass_.buffers().at(port), pass_.shape().batch}; }
  Parts of_own(Port port) const { return {*own_.buffers().at(port), own_.shape().batch}; }
  void bring(Port port) const { of_pass(port).copy(at_, of_own(port), first_, count_); }
  void take(Port port) const { of_own(port).copy(first_, of_pass(port), at_, count_); }

  // Of one call of the table: a part for each sample, or one for all.
  void bring_step(Port port, int parts) const {
    const size_t slice = own_.slice_bytes(port), each = slice / size_t(parts);
    Buffer& to = *pass_.buffers().at(port);
    const Buffer& from = *own_.buffers().at(port);
    for (int i = 0; i < count_; ++i) {
      const int part = parts > 1 ? first_ + i : 0;
      to.copy(from, each, size_t(at_ + i) * each, size_t(call_) * slice + size_t(part) * each);
    }
  }

  UnetSession& pass_;
  const int at_;
  UnetSession& own_;
  const int call_, first_, count_;
};

// Rows may share a pass when these are the same.
using Kinship = std::tuple<ProgramKey::Kind, int, int, int, int, int, UnetExtras, AttentionUses>;

Kinship kinship(const ProgramKey& key, const UnetShape& shape) {
  return {key.kind,
          key.kind == ProgramKey::Kind::full ? -1 : key.branch,
          shape.height,
          shape.width,
          shape.context_length,
          shape.frames,
          shape.extras,
          key.attention};
}

}  // namespace

std::vector<UnetBatch::Group> UnetBatch::groups_of(const std::vector<UnetSlot*>& slots) {
  std::vector<Group> groups;
  std::map<Kinship, size_t> open;  // groups that may grow
  for (UnetSlot* slot : slots) {
    try {
      check_cancelled(slot->cancel_flag());
      const StepReport& report = slot->rows().choose();
      if (report.program == kNoProgram) {
        groups.push_back({{}, {{slot, 0, Halves::none}}});
        continue;
      }
      ProgramKey key = slot->table().programs[size_t(report.program)];
      const Group::Row row{slot, slot->table().call(report.row),
                           std::exchange(key.halves, Halves::all)};
      // Frames of a video U-Net share what no sample has to itself; networks beside it see the
      // samples of their own run.
      if (unet_.config().takes_videos() || slot->request().control.given()) {
        groups.push_back({key, {row}});
        continue;
      }
      const Kinship kin = kinship(key, slot->session().shape());
      const auto found = open.find(kin);
      // Perturbed samples are those of one output, what is kept of attention is a run's own, and
      // degraded ones are computed behind the others of their row.
      const UnetExtras& extras = slot->session().shape().extras;
      const bool joins = found != open.end() && extras.perturbed.empty() && !extras.degrades &&
                         !key.attention && groups[found->second].samples() + row.samples() <= most_;
      if (joins) {
        groups[found->second].rows.push_back(row);
      } else {
        open[kin] = groups.size();
        groups.push_back({key, {row}});
      }
    } catch (...) {
      slot->error = std::current_exception();
    }
  }
  return groups;
}

void UnetBatch::run_alone(UnetSlot& slot) {
  try {
    slot.rows().enqueue(slot.cancel_flag());
  } catch (...) {
    slot.error = std::current_exception();
  }
}

std::shared_ptr<UnetSession> UnetBatch::session_for(const Group& group) {
  UnetShape shape = group.rows[0].slot->session().shape();
  shape.batch = shape.time_rows = group.samples();
  shape.outputs = 1;
  std::set<int> features;
  for (const Group::Row& row : group.rows) {
    const std::vector<int>& own = row.slot->session().features();
    features.insert(own.begin(), own.end());
  }
  try {
    return unet_.session(shape, 1, {features.begin(), features.end()});
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kOutOfMemory) return nullptr;
    throw;
  }
}

void UnetBatch::run_together(const Group& group) {
  const std::shared_ptr<UnetSession> pass = session_for(group);
  if (!pass) {
    for (const Group::Row& row : group.rows) run_alone(*row.slot);
    return;
  }
  const Segments segments = pass->segments(group.key);
  std::vector<Exchange> exchanges;
  int at = 0;
  for (const Group::Row& row : group.rows) {
    exchanges.emplace_back(*pass, at, row.slot->session(), row.call, row.first(), row.samples());
    at += row.samples();
  }
  for (const Group::Row& row : group.rows) row.slot->rows().input();
  for (const Exchange& exchange : exchanges) exchange.gather(group.key);
  run_segments(segments, 0, nullptr, nullptr);
  for (const Exchange& exchange : exchanges) exchange.scatter(group.key);
  for (const Group::Row& row : group.rows) row.slot->rows().apply();
  shared_passes_++;
}

void UnetBatch::tick(const std::vector<UnetSlot*>& slots) {
  for (const Group& group : groups_of(slots)) {
    for (const Group::Row& row : group.rows) row.slot->begin_row();
    if (group.rows.size() == 1) {
      run_alone(*group.rows[0].slot);
      continue;
    }
    try {
      run_together(group);
    } catch (...) {
      for (const Group::Row& row : group.rows) row.slot->error = std::current_exception();
    }
  }
}

class UnetBatch::Membership {
 public:
  Membership(UnetBatch& batch, UnetSlot& slot, int name) : batch_(batch) {
    const std::lock_guard lock(batch.mutex_);
    place_ = batch.members_.emplace(batch.members_.end());
    place_->slot = &slot;
    place_->name = name;
  }
  ~Membership() {
    const std::lock_guard lock(batch_.mutex_);
    batch_.members_.erase(place_);
    batch_.wake_one();
  }
  Membership(const Membership&) = delete;
  Member& member() { return *place_; }

 private:
  UnetBatch& batch_;
  std::list<Member>::iterator place_;
};

UnetRun UnetBatch::denoise(const UnetDenoise& request, const CancelFlag* cancel,
                           const std::function<void(const UnetProgress&)>& on_step, int name) {
  std::optional<UnetSlot> slot;
  {
    const Engine::Turn turn(unet_.engine(), cancel);
    slot.emplace(unet_, request, cancel, on_step);
  }
  {
    Membership membership(*this, *slot, name);
    if (name != kNoName && on_step) on_step({.row = -1, .program = kNoProgram});
    while (slot->rows().has_next()) {
      next_row(membership.member());
      // Here, as reports may wait for whoever gets them: nobody else's thread must.
      slot->rows().settle();
    }
  }
  const Engine::Turn turn(unet_.engine(), cancel);
  return slot->finish();
}

void UnetBatch::order(std::vector<int> names) {
  const std::lock_guard lock(mutex_);
  ordered_.push_back(std::move(names));
  wake_one();
}

// Semaphores, as who wakes a thread by a condition variable of glibc's may have to wait itself,
// until threads that it has woken before have got a core: order() is called by JavaScript.
void UnetBatch::wake_one() {
  const auto waits = [](const Member& member) { return member.state == Member::waits; };
  const auto found = std::ranges::find_if(members_, [&](const Member& member) {
    return waits(member) && !ordered_.empty() && std::ranges::count(ordered_.front(), member.name);
  });
  const auto any = found != members_.end() ? found : std::ranges::find_if(members_, waits);
  if (any != members_.end()) any->woken.release();
}

void UnetBatch::next_row(Member& member) {
  // Nobody tells when a flag is raised.
  constexpr auto kLook = std::chrono::milliseconds(20);
  std::unique_lock lock(mutex_);
  member.state = Member::waits;
  while (member.state != Member::ran) {
    if (member.state == Member::waits) {
      check_cancelled(member.slot->cancel_flag());
      if (const std::vector<Member*> members = next_tick(); !members.empty()) {
        tick_members(members, lock);
        continue;
      }
    }
    lock.unlock();
    (void)member.woken.try_acquire_for(kLook);
    lock.lock();
  }
  if (member.slot->error) std::rethrow_exception(member.slot->error);
}

std::vector<UnetBatch::Member*> UnetBatch::next_tick() {
  const auto collect = [&](const auto& takes_part) {
    std::vector<Member*> out;
    for (Member& member : members_)
      if (takes_part(member)) out.push_back(&member);
    return out;
  };
  const auto wait = [](const std::vector<Member*>& members) {
    return std::ranges::all_of(members,
                               [](const Member* one) { return one->state == Member::waits; });
  };
  while (!ordered_.empty()) {
    std::vector<Member*> named = collect([&](const Member& member) {
      return member.name != kNoName && std::ranges::count(ordered_.front(), member.name) > 0;
    });
    if (!named.empty() && !wait(named)) break;
    ordered_.pop_front();
    if (!named.empty()) return named;
  }
  std::vector<Member*> others =
      collect([](const Member& member) { return member.name == kNoName; });
  if (!wait(others)) others.clear();
  return others;
}

void UnetBatch::tick_members(const std::vector<Member*>& members,
                             std::unique_lock<std::mutex>& lock) {
  std::vector<UnetSlot*> slots;
  for (Member* member : members) {
    member->state = Member::runs;
    slots.push_back(member->slot);
  }
  lock.unlock();
  // What the others need is not to come out of what this thread's run was promised.
  std::shared_ptr<Reservation> mine = std::exchange(reservation_of_run(), nullptr);
  try {
    const Engine::Turn turn(unet_.engine());
    tick(slots);
  } catch (...) {
    for (UnetSlot* slot : slots) slot->error = std::current_exception();
  }
  reservation_of_run() = std::move(mine);
  lock.lock();
  for (Member* member : members) {
    member->state = Member::ran;
    member->woken.release();
  }
  wake_one();
}

}  // namespace deepcache

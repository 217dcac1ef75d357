#pragma once

// Runs of one U-Net that go together: each has its own step table and position in it, and they come
// and go between rows. A tick computes the next row of every run; rows that run the same segments
// on samples of one size make one pass, whose inputs are gathered from the runs' own buffers and
// whose outputs and features are scattered back. A row that nobody shares runs in its own session.

#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <semaphore>
#include <vector>

#include "unet_slot.h"

namespace deepcache {

class UnetBatch {
 public:
  // `most`: samples of a pass, the outputs of guidance included.
  explicit UnetBatch(Unet& unet, int most = 16) : unet_(unet), most_(most) {}

  // Of runs that take part in every tick, which comes when all of them wait for it.
  static constexpr int kNoName = 0;

  // As Unet::denoise(), together with the runs that other threads denoise meanwhile: whichever
  // comes last to a tick computes it for all. A run that is cancelled leaves between ticks. One
  // with a name of its own waits for ticks that are ordered; `on_step` is told row -1 when it does.
  UnetRun denoise(const UnetDenoise& request, const CancelFlag* cancel,
                  const std::function<void(const UnetProgress&)>& on_step, int name = kNoName);

  // A tick of the runs of these names, behind those ordered before. It comes when all of them are
  // done with the row before; runs that have ended are left out.
  void order(std::vector<int> names);

  // The next row of each of these runs, none of which has ended. One that fails gets its `error`;
  // the others go on. For whoever has the engine's turn; settle() is the caller's.
  void tick(const std::vector<UnetSlot*>& slots);

  // Passes of several runs so far.
  int shared_passes() const { return shared_passes_; }

 private:
  struct Group;

  std::vector<Group> groups_of(const std::vector<UnetSlot*>& slots);
  void run_alone(UnetSlot& slot);
  void run_together(const Group& group);
  // Null when there is no memory for it.
  std::shared_ptr<UnetSession> session_for(const Group& group);

  // A thread in denoise().
  struct Member {
    UnetSlot* slot;
    int name;
    enum { waits, runs, ran } state = ran;  // ran: its thread is busy with the row, or not here yet
    std::counting_semaphore<> woken{0};
  };
  class Membership;
  // Until the member's next row has run. Throws Error(kAborted), and what ended the run.
  void next_row(Member& member);
  // Those whose tick has come; none while somebody is waited for.
  std::vector<Member*> next_tick();
  void tick_members(const std::vector<Member*>& members, std::unique_lock<std::mutex>& lock);
  // Lets one that waits see whether a tick has come: whoever sees it computes it.
  void wake_one();

  Unet& unet_;
  const int most_;
  int shared_passes_ = 0;

  std::mutex mutex_;
  std::list<Member> members_;
  std::deque<std::vector<int>> ordered_;  // ticks that have not begun
};

}  // namespace deepcache

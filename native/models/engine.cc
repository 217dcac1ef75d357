#include "engine.h"

#include <algorithm>
#include <chrono>

#include "model.h"

namespace deepcache {

Engine::Engine(std::shared_ptr<Backend> backend, std::optional<size_t> budget)
    : backend_(std::move(backend)), budget_(budget) {}

void Engine::add(const Model& network) {
  std::lock_guard lock(sessions_mutex_);
  networks_.insert(&network);
}

void Engine::remove(const Model& network) {
  take_out([&](const Entry& entry) {
    return entry.network == &network || entry.session->uses(network);
  });
  std::lock_guard lock(sessions_mutex_);
  networks_.erase(&network);
}

Engine::Turn::Turn(Engine& engine, const CancelFlag* cancel) : engine_(engine) {
  // Nobody tells when a flag is raised.
  constexpr auto kLook = std::chrono::milliseconds(20);
  std::unique_lock lock(engine.turns_mutex_);
  engine.turns_.push_back(this);
  while (engine.turns_.front() != this) {
    if (cancel && *cancel) {
      engine.turns_.remove(this);
      throw Error(ErrorCode::kAborted, "The run was aborted");
    }
    if (cancel)
      engine.turn_ended_.wait_for(lock, kLook);
    else
      engine.turn_ended_.wait(lock);
  }
}

Engine::Turn::~Turn() {
  {
    std::lock_guard lock(engine_.turns_mutex_);
    engine_.turns_.remove(this);
  }
  engine_.turn_ended_.notify_all();
}

std::shared_ptr<EngineSession> Engine::find_session(const Model& network, const Fits& fits) {
  std::lock_guard lock(sessions_mutex_);
  const auto found = std::ranges::find_if(sessions_, [&](const Entry& entry) {
    return entry.network == &network && !entry.in_use() && fits(*entry.session);
  });
  if (found == sessions_.end()) return nullptr;
  sessions_.splice(sessions_.begin(), sessions_, found);
  return lend(found->session);
}

std::shared_ptr<EngineSession> Engine::keep_session(const Model& network,
                                                    std::shared_ptr<EngineSession> session) {
  std::lock_guard lock(sessions_mutex_);
  sessions_.push_front({&network, session});
  return lend(std::move(session));
}

std::shared_ptr<EngineSession> Engine::lend(std::shared_ptr<EngineSession> session) {
  EngineSession* const lent = session.get();
  lent->in_use_ = true;
  return {lent, [session = std::move(session)](EngineSession* used) { used->in_use_ = false; }};
}

EngineSession::Room Engine::make_room(size_t arena_bytes, size_t buffer_bytes,
                                      const std::string& what) {
  const auto arena_that_fits = [&] {
    std::shared_ptr<Buffer> arena = arena_.lock();
    return arena && arena->bytes() >= arena_bytes ? arena : nullptr;
  };
  // Evicting may free the arena that would have fitted.
  const auto need = [&] { return buffer_bytes + (arena_that_fits() ? 0 : arena_bytes); };
  const auto held = [&] {
    const auto [arena, buffers] = memory();
    return arena + buffers;
  };
  while (held() + need() > budget() && evict()) {
  }
  return relieve([&] {
    EngineSession::Room room;
    room.arena = arena_that_fits();
    room.memory = backend_->reserve(buffer_bytes + (room.arena ? 0 : arena_bytes), what);
    if (!room.arena) arena_ = room.arena = backend_->allocate(arena_bytes);
    return room;
  });
}

void Engine::trim(const Model* network) {
  take_out([&](const Entry& entry) {
    return (!network || entry.network == network) && !entry.in_use();
  });
}

EngineMemory Engine::memory(const Model* network) const {
  std::lock_guard lock(sessions_mutex_);
  EngineMemory sum;
  std::set<const Buffer*> arenas;
  for (const Entry& entry : sessions_) {
    if (network && entry.network != network) continue;
    sum.buffers += entry.session->buffer_bytes();
    const Buffer& arena = entry.session->arena();
    if (arenas.insert(&arena).second) sum.arena += arena.bytes();
  }
  return sum;
}

size_t Engine::budget() const {
  if (budget_) return *budget_;
  size_t weights = 0;
  std::lock_guard lock(sessions_mutex_);
  for (const Model* network : networks_) weights += network->weight_bytes();
  return weights;
}

bool Engine::evict() {
  const Entry* last = nullptr;
  for (const Entry& entry : sessions_)
    if (!entry.in_use()) last = &entry;
  return last && !take_out([&](const Entry& entry) { return &entry == last; }).empty();
}

std::list<Engine::Entry> Engine::take_out(const std::function<bool(const Entry&)>& which) {
  std::list<Entry> out;  // destroyed by the caller: freeing may take a while
  std::lock_guard lock(sessions_mutex_);
  for (auto entry = sessions_.begin(); entry != sessions_.end();) {
    const auto next = std::next(entry);
    if (which(*entry)) out.splice(out.end(), sessions_, entry);
    entry = next;
  }
  return out;
}

}  // namespace deepcache

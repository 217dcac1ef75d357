#pragma once

// What the networks of one device share: the shapes that they were compiled for, as many as memory
// allows, one arena for all that run one after the other, and the turns in which they do.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "../runtime/backend.h"

namespace deepcache {

class Model;

// A network compiled for a shape, with the memory that its runs need. It belongs to one run at a
// time.
class EngineSession {
 public:
  virtual ~EngineSession() = default;
  virtual size_t buffer_bytes() const = 0;
  // Whether it holds programs of the network beside its own one's.
  virtual bool uses(const Model& /*network*/) const { return false; }
  Buffer& arena() const { return *room_.arena; }

  // Promised memory, as long as the shape lives; the arena may be others' too.
  struct Room {
    std::shared_ptr<Reservation> memory;
    std::shared_ptr<Buffer> arena;
  };

 protected:
  Room room_;

 private:
  friend class Engine;
  std::atomic<bool> in_use_{false};
};

struct EngineMemory {
  size_t arena = 0, buffers = 0;
};

class Engine {
 public:
  // `budget`: bytes that all shapes together may take. The one that runs may take more; the others
  // go then, the least recently used first. By default as much as the networks' weights take.
  explicit Engine(std::shared_ptr<Backend> backend, std::optional<size_t> budget = std::nullopt);

  const std::shared_ptr<Backend>& backend() const { return backend_; }

  void add(const Model& network);
  // Frees its shapes, of which none may be in use.
  void remove(const Model& network);

  // Whoever computes has the engine to himself; first come, first served. Waiting ends with
  // Error(kAborted) soon after `cancel` became true.
  class Turn {
   public:
    explicit Turn(Engine& engine, const CancelFlag* cancel = nullptr);
    ~Turn();
    Turn(const Turn&) = delete;

   private:
    Engine& engine_;
  };

  // The rest is for whoever has the turn, but memory().

  // The most recently used shape of the network that nobody uses and that `fits`; null: none. It is
  // the caller's until the pointer goes, on any thread.
  template <typename Session, typename Fits>
  std::shared_ptr<Session> find(const Model& network, const Fits& fits) {
    return std::static_pointer_cast<Session>(find_session(
        network, [&](EngineSession& session) { return fits(static_cast<Session&>(session)); }));
  }
  // A new shape, found from here on when nobody uses it; the caller's as above.
  template <typename Session>
  std::shared_ptr<Session> keep(const Model& network, std::shared_ptr<Session> session) {
    return std::static_pointer_cast<Session>(keep_session(network, std::move(session)));
  }
  // Memory for another shape. Throws Error(kOutOfMemory).
  EngineSession::Room make_room(size_t arena_bytes, size_t buffer_bytes, const std::string& what);
  // Does the work. When memory runs out, shapes that nobody uses go one by one, and it is tried
  // again.
  template <typename Work>
  auto relieve(const Work& work) {
    for (;;) {
      try {
        return work();
      } catch (const Error& error) {
        if (error.code() != ErrorCode::kOutOfMemory || !evict()) throw;
      }
    }
  }
  // Frees what nobody uses, of one network or of all.
  void trim(const Model* network = nullptr);
  // Of one network or of all; an arena counts once. On any thread, at any time.
  EngineMemory memory(const Model* network = nullptr) const;

 private:
  struct Entry {
    const Model* network;
    std::shared_ptr<EngineSession> session;
    bool in_use() const { return session->in_use_; }
  };
  using Fits = std::function<bool(EngineSession&)>;

  std::shared_ptr<EngineSession> find_session(const Model& network, const Fits& fits);
  std::shared_ptr<EngineSession> keep_session(const Model& network,
                                              std::shared_ptr<EngineSession> session);
  static std::shared_ptr<EngineSession> lend(std::shared_ptr<EngineSession> session);
  size_t budget() const;
  // Frees the least recently used shape that nobody uses; false: there is none.
  bool evict();
  std::list<Entry> take_out(const std::function<bool(const Entry&)>& which);

  const std::shared_ptr<Backend> backend_;
  const std::optional<size_t> budget_;
  std::set<const Model*> networks_;
  std::weak_ptr<Buffer> arena_;  // the newest, and largest

  mutable std::mutex sessions_mutex_;
  std::list<Entry> sessions_;  // the most recently used first

  std::mutex turns_mutex_;
  std::condition_variable turn_ended_;
  std::list<const Turn*> turns_;  // the first has it
};

}  // namespace deepcache

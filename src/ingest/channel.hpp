// Anything an io thread reads from: a connection, a datagram socket, a listening socket.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/unique_fd.hpp"
#include "ingest/fd_waiter.hpp"
#include "ingest/ingest_counters.hpp"
#include "ingest/listener.hpp"

namespace fastlogd::ingest {

class IoThread;

/// Owned by one IoThread, which alone calls it. Its life: open() -> wait and ready() in turns, pauses
/// included
/// -> finish() by itself, or drain() first when its listener is removed or the daemon stops, or abandon().
class Channel {
 public:
  enum class Kind : std::uint8_t { acceptor, datagrams, connection };

  Channel(IoThread& thread, ListenerPtr listener, UniqueFd fd);
  virtual ~Channel() = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /// Starts reading.
  virtual void open() { wait(); }
  /// The descriptor is readable (perhaps), or the ring has room again after a pause.
  virtual void ready() = 0;
  enum class Polled : std::uint8_t {
    worked,
    idle,  ///< found nothing; look again soon
    done,  ///< not to be polled any more
  };
  /// After IoThread::poll(): each cycle.
  [[nodiscard]] virtual Polled poll() { return Polled::done; }
  /// Some four times a second.
  virtual void tick(std::int64_t monotonic_now_ns) { static_cast<void>(monotonic_now_ns); }
  /// Takes in what was sent before now, then finishes.
  virtual void drain(CloseReason reason) = 0;
  /// The bound has run out: counts what can't be handed over any more, and finishes.
  virtual void abandon() = 0;
  /// Would the write that made it pause succeed now?
  [[nodiscard]] virtual bool has_room() { return true; }
  [[nodiscard]] virtual Kind kind() const = 0;

  /// Options changed by a reload, for channels that hold the listener's own socket.
  void replace_listener(ListenerPtr listener) { listener_ = std::move(listener); }
  [[nodiscard]] const Listener& listener() const { return *listener_; }
  /// A finished channel may be destroyed when it is no longer waiting.
  [[nodiscard]] bool waiting() const { return waiter_.waiting(); }
  [[nodiscard]] bool finished() const { return finished_; }

 protected:
  void wait();
  /// Stops reading until the ring has room; ready() is called then.
  void pause();
  /// Closes the descriptor; the io thread destroys the channel at the end of its cycle.
  void finish();
  [[nodiscard]] ListenerCounters& counters();

  IoThread& thread_;
  ListenerPtr listener_;
  FdWaiter waiter_;

 private:
  friend class IoThread;
  std::size_t index_ = 0;  // in the thread's list
  bool polled_ = false;    // in the list of those that are
  bool finished_ = false;
};

}  // namespace fastlogd::ingest

// What FrontEnd and PreparedListeners keep. Private to front_end.cpp and listener_set.cpp.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ingest/datagram_slab.hpp"
#include "ingest/front_end.hpp"
#include "ingest/io_thread.hpp"
#include "ingest/listener.hpp"
#include "ingest/ring_note.hpp"
#include "ingest/sockets.hpp"

namespace fastlogd::ingest {

/// A committed listener.
struct ActiveListener {
  ListenerPtr listener;
  int given = -1;       ///< the inherited socket that it reads a copy of
  unsigned thread = 0;  ///< where its listening or datagram socket is read
  std::uint16_t port = 0;
  SocketFile file;

  /// An inherited socket's file is its keeper's.
  [[nodiscard]] bool has_lost_its_file() const {
    return is_unix(listener->options.transport) && !listener->inherited && !file.is_there();
  }
};

/// A prepared one: either it keeps a socket that is read already, or `fd` is a new one.
struct PreparedListener {
  ListenerPtr listener;
  int given = -1;  ///< as in ActiveListener
  bool kept = false;
  unsigned thread = 0;
  std::uint16_t port = 0;
  UniqueFd fd;
  SocketFile file;
  std::unique_ptr<DatagramSlab> slab;  ///< new datagram sockets
};

struct PreparedListeners::State {
  std::vector<PreparedListener> listeners;
};

struct FrontEnd::State {
  explicit State(const LimitOptions& limits) : shared(limits) {}

  [[nodiscard]] std::size_t stream_index(std::string_view name) const;
  [[nodiscard]] const ActiveListener* find_active(const ListenerOptions& options) const;
  [[nodiscard]] const InheritedSocket* find_inherited(const ListenerOptions& options) const;
  [[nodiscard]] bool path_is_ours(const std::string& path) const;
  [[nodiscard]] std::vector<std::shared_ptr<ListenerCounters>> counters_for(
      const ListenerOptions& options) const;
  [[nodiscard]] Result<PreparedListener> prepare_one(const ListenerOptions& options);
  [[nodiscard]] Result<> open_socket(const ListenerOptions& options, PreparedListener& prepared,
                                     bool& inherited);
  void warn_of_unread(const std::vector<PreparedListener>& prepared, int given) const;
  void retire_missing(const std::vector<PreparedListener>& prepared);
  void activate(PreparedListener prepared);
  [[nodiscard]] Result<> resume_ring(KeptRing ring, IoThread& on);
  [[nodiscard]] ListenerPtr listener_for(const RingNote& note) const;
  void register_counters(const Listener& listener);

  std::vector<std::string> streams;
  IoShared shared;
  std::vector<ActiveListener> active;
  std::vector<InheritedSocket> inherited;
  std::uint64_t next_socket_id = 1;
  bool started = false;
  bool stopped = false;

  mutable std::mutex mutex;  ///< guards what other threads ask for
  struct CountersRow {
    CountersEntry entry;
    std::shared_ptr<ListenerCounters> writable;
  };
  std::vector<CountersRow> counters;
  std::vector<BoundAddress> bound;
};

}  // namespace fastlogd::ingest

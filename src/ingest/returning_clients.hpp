// Clients whose rings came back from the daemon before this one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <utility>

#include "record/client_numbers.hpp"

namespace fastlogd::ingest {

/// While such a ring is being drained its client may connect, to write the same records again. It is put off until it can
/// be told up to which number it need not. A few entries, asked at handshakes only. Any thread.
class ReturningClients {
 public:
  /// A ring of this client is going to be drained into this stream.
  void expect(std::size_t stream, const ClientKey& client) {
    const std::lock_guard lock(mutex_);
    ++clients_[key(stream, client)].rings;
  }
  /// One has been: everything up to `last` is on disk or was refused.
  void settle(std::size_t stream, const ClientKey& client, std::uint64_t last) {
    const std::lock_guard lock(mutex_);
    Client& found = clients_[key(stream, client)];
    if (found.rings > 0) --found.rings;
    found.last = std::max(found.last, last);
  }

  [[nodiscard]] bool is_pending(std::size_t stream, const ClientKey& client) const {
    const std::lock_guard lock(mutex_);
    const auto found = clients_.find(key(stream, client));
    return found != clients_.end() && found->second.rings > 0;
  }
  /// 0: nothing of it came back.
  [[nodiscard]] std::uint64_t last_of(std::size_t stream, const ClientKey& client) const {
    const std::lock_guard lock(mutex_);
    const auto found = clients_.find(key(stream, client));
    return found == clients_.end() ? 0 : found->second.last;
  }

 private:
  struct Client {
    unsigned rings = 0;
    std::uint64_t last = 0;
  };
  using Key = std::pair<std::pair<std::size_t, std::uint32_t>, ClientId>;
  [[nodiscard]] static Key key(std::size_t stream, const ClientKey& client) {
    return {{stream, client.uid}, client.id};
  }

  mutable std::mutex mutex_;
  std::map<Key, Client> clients_;
};

}  // namespace fastlogd::ingest

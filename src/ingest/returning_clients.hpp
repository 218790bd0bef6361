// Clients whose rings came back from the daemon before this one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "record/client_numbers.hpp"
#include "wire/native_format.hpp"

namespace fastlogd::ingest {

/// Records of a ring that came back that are not in the log, and why not.
struct RefusedRecords {
  std::uint64_t first = 0;
  std::uint64_t last = 0;  ///< 0: none
  wire::Refusal why{};
};

/// While such a ring is drained its client may connect, to write the same records again. It is put off until the ring is
/// settled, and can then be told up to which number it need not. A few entries, asked at handshakes and four times a
/// second. Any thread.
///
/// By the client's id alone it is put off, whoever it is now: a program that has given up its privileges is the same
/// program. What it need not write is told to the same user alone, or others' records could be kept from the log.
class ReturningClients {
 public:
  /// A ring of this client is going to be drained into this stream. Rings of one client are expected in the order in which
  /// they were made, and drained in that order: the next one begins with copies of what the one before still held. Returns
  /// the ring's number in it.
  [[nodiscard]] unsigned expect(std::size_t stream, const ClientKey& client) {
    const std::lock_guard lock(mutex_);
    Client& found = clients_[{stream, client.id}];
    found.uid = client.uid;
    return found.expected++;
  }
  [[nodiscard]] bool is_turn_of(std::size_t stream, const ClientKey& client, unsigned ring) const {
    const std::lock_guard lock(mutex_);
    const auto found = clients_.find({stream, client.id});
    return found != clients_.end() && found->second.settled == ring;
  }
  /// Its client has another one.
  [[nodiscard]] bool is_superseded(std::size_t stream, const ClientKey& client, unsigned ring) const {
    const std::lock_guard lock(mutex_);
    const auto found = clients_.find({stream, client.id});
    return found != clients_.end() && ring + 1 < found->second.expected;
  }
  /// It connects, with `first` as its first number. True: not yet, it has to come again; its ring is to be settled.
  [[nodiscard]] bool puts_off(std::size_t stream, const ClientKey& client, std::uint64_t first) {
    const std::lock_guard lock(mutex_);
    const auto found = clients_.find({stream, client.id});
    if (found == clients_.end()) return false;
    found->second.wanted = true;
    if (found->second.settled < found->second.expected) return true;
    // Another user now, with a number from before the ring was drained: once more, with the one that holds now.
    return found->second.uid != client.uid && first <= found->second.last &&
           !std::exchange(found->second.stranger_put_off, true);
  }
  [[nodiscard]] bool is_wanted(std::size_t stream, const ClientKey& client) const {
    const std::lock_guard lock(mutex_);
    const auto found = clients_.find({stream, client.id});
    return found != clients_.end() && found->second.wanted;
  }
  /// A ring is drained: everything up to `last` is on disk, or `refused`. `kept_name`, if any, is still kept: what its
  /// client may write into it before it comes is for the daemon after this one.
  void settle(std::size_t stream, const ClientKey& client, std::uint64_t last, const RefusedRecords& refused,
              std::string kept_name) {
    const std::lock_guard lock(mutex_);
    Client& found = clients_[{stream, client.id}];
    ++found.settled;
    found.last = std::max(found.last, last);
    if (refused.last != 0) found.refused = refused;
    if (!kept_name.empty()) found.kept_names.push_back(std::move(kept_name));
  }

  /// Up to which number it need not write; 0: nothing of it came back.
  [[nodiscard]] std::uint64_t last_of(std::size_t stream, const ClientKey& client) const {
    const std::lock_guard lock(mutex_);
    const auto found = clients_.find({stream, client.id});
    return found == clients_.end() || found->second.uid != client.uid ? 0 : found->second.last;
  }
  /// What it has to be told, once.
  [[nodiscard]] RefusedRecords take_refused(std::size_t stream, const ClientKey& client) {
    const std::lock_guard lock(mutex_);
    const auto found = clients_.find({stream, client.id});
    if (found == clients_.end() || found->second.uid != client.uid) return {};
    return std::exchange(found->second.refused, {});
  }
  /// The client has another ring: its old ones are kept for nothing.
  [[nodiscard]] std::vector<std::string> take_kept_names(std::size_t stream, const ClientKey& client) {
    const std::lock_guard lock(mutex_);
    const auto found = clients_.find({stream, client.id});
    if (found == clients_.end() || found->second.uid != client.uid) return {};
    return std::exchange(found->second.kept_names, {});
  }

 private:
  struct Client {
    std::uint32_t uid = kUnknownId;
    unsigned expected = 0;
    unsigned settled = 0;
    std::uint64_t last = 0;
    RefusedRecords refused;
    std::vector<std::string> kept_names;
    bool wanted = false;
    bool stranger_put_off = false;
  };

  mutable std::mutex mutex_;
  std::map<std::pair<std::size_t, ClientId>, Client> clients_;
};

}  // namespace fastlogd::ingest

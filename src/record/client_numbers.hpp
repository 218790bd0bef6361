// Up to which of their own record numbers the clients of a log are in it: what a start finds out, so that nothing is
// stored again that a daemon has stored and died before it could say so.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "record/source.hpp"

namespace fastlogd {

/// What a client calls itself: random, the same on all its connections. All zero: it has not said.
using ClientId = std::array<std::uint8_t, 16>;

/// A client as the log knows it. The uid keeps users apart, who could otherwise speak for one another.
struct ClientKey {
  ClientId id{};
  std::uint32_t uid = kUnknownId;

  [[nodiscard]] bool is_none() const { return id == ClientId{}; }
  friend bool operator==(const ClientKey&, const ClientKey&) = default;
};

/// One client's numbers from `first` on.
struct Numbering {
  ClientKey client;
  std::uint32_t zero = 0;
  std::uint64_t first = 0;

  friend bool operator==(const Numbering&, const Numbering&) = default;
};
static_assert(sizeof(Numbering) == 32);

/// Bounded: sets of kWays places, each in the order in which its clients were noted last. A new client takes the place of
/// the one of its set that has been silent longest. Ids are random, so that the sets fill evenly.
///
/// Never allocates after make_room(), which the first note() does if nobody has before. One thread; any number once it
/// does not change any more.
class ClientNumbers {
 public:
  static constexpr std::size_t kWays = 8;
  static constexpr std::size_t kSets = 128;
  static constexpr std::size_t kClientsMax = kWays * kSets;

  void make_room() { sets_.resize(kSets); }
  /// Everything up to `last` is in the log or was refused. Never goes back.
  void note(const ClientKey& client, std::uint64_t last) { note(client, 1, last); }
  /// [first, last] is in the log. Of what lies before, nothing new is known: after a hole it may be on its way still.
  void note(const ClientKey& client, std::uint64_t first, std::uint64_t last);
  /// Knows nobody any more; keeps its room.
  void forget() { sets_.assign(sets_.size(), Set{}); }
  /// All that `other` knows, as newer than what this one knew.
  void add(const ClientNumbers& other);
  /// 0: nothing is known of it.
  [[nodiscard]] std::uint64_t last_of(const ClientKey& client) const;
  /// How many numbers from `first` on are in the log or were refused, without a doubt.
  [[nodiscard]] std::uint64_t known_from(const ClientKey& client, std::uint64_t first) const;
  [[nodiscard]] bool empty() const { return sets_.empty() || size() == 0; }
  [[nodiscard]] std::size_t size() const;

  /// Calls `use(client, last)`, of each set the one that has been silent longest first.
  template <class Use>
  void for_each(Use use) const {
    for (const Set& set : sets_) {
      for (const Entry& entry : set) {
        if (entry.last != 0) use(entry.client, entry.last);
      }
    }
  }

 private:
  struct Entry {
    ClientKey client;
    std::uint64_t last = 0;   ///< 0: a free place
    std::uint64_t since = 0;  ///< from here to `last` there is no hole
  };
  using Set = std::array<Entry, kWays>;

  [[nodiscard]] static std::size_t set_of(const ClientKey& client);
  [[nodiscard]] const Entry* find(const ClientKey& client) const;

  std::vector<Set> sets_;
};

}  // namespace fastlogd

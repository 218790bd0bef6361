#include "record/client_numbers.hpp"

#include <algorithm>
#include <cstring>

namespace fastlogd {

std::size_t ClientNumbers::set_of(const ClientKey& client) {
  std::uint64_t word = 0;
  std::memcpy(&word, client.id.data(), sizeof word);
  return word % kSets;
}

void ClientNumbers::note(const ClientKey& client, std::uint64_t first, std::uint64_t last) {
  if (client.is_none() || last == 0) return;
  if (sets_.empty()) make_room();
  Set& set = sets_[set_of(client)];
  // From the newest on: whoever has just written writes again.
  auto place = set.end() - 1;
  while (place != set.begin() && (place->last == 0 || place->client != client)) --place;
  if (place->last == 0 || place->client != client) *place = Entry{.client = client};
  const bool behind_a_hole = place->last == 0 || first > place->last + 1;
  const bool reaches_what_is_known = first < place->since && last + 1 >= place->since;
  if (behind_a_hole || reaches_what_is_known) place->since = first;
  place->last = std::max(place->last, last);
  if (place != set.end() - 1) std::rotate(place, place + 1, set.end());
}

void ClientNumbers::add(const ClientNumbers& other) {
  other.for_each([this](const ClientKey& client, std::uint64_t last) { note(client, last); });
}

const ClientNumbers::Entry* ClientNumbers::find(const ClientKey& client) const {
  if (sets_.empty() || client.is_none()) return nullptr;
  const Set& set = sets_[set_of(client)];
  const auto found = std::find_if(
      set.begin(), set.end(), [&](const Entry& entry) { return entry.last != 0 && entry.client == client; });
  return found == set.end() ? nullptr : &*found;
}

std::uint64_t ClientNumbers::last_of(const ClientKey& client) const {
  const Entry* const entry = find(client);
  return entry == nullptr ? 0 : entry->last;
}

std::uint64_t ClientNumbers::known_from(const ClientKey& client, std::uint64_t first) const {
  const Entry* const entry = find(client);
  return entry == nullptr || first < entry->since || first > entry->last ? 0 : entry->last - first + 1;
}

std::size_t ClientNumbers::size() const {
  std::size_t clients = 0;
  for_each([&clients](const ClientKey&, std::uint64_t) { ++clients; });
  return clients;
}

}  // namespace fastlogd

// What the appender writes down of clients' own record numbers: NUMBERS frames, by which a start knows what a client need
// not send again.
#include "append/appender.hpp"

namespace fastlogd::append {

/// Before message `at` of an entry is stored: whose numbers follow, unless the segment says so already. It comes before the
/// records, so that no record is ever found without its number.
bool Appender::state_numbers(const ingress::EntryView& entry, std::size_t at) {
  Numbering numbering = entry.numbering();
  if (!numbering.client.is_none()) numbering.first += at;
  while (numbering != run_) {
    if (!writer_.append_numbers(numbering)) {
      if (!roll(segment::OpenReason::roll)) return false;
      continue;
    }
    run_ = numbering;
  }
  return true;
}

/// All messages of the entry before `end` are in the log.
void Appender::stored_numbers(const ingress::EntryView& entry, std::size_t end) {
  const Numbering numbering = entry.numbering();
  if (numbering.client.is_none() || numbering.client != run_.client) return;
  run_.first = numbering.first + end;
  clients_.note(numbering.client, run_.first - 1);
}

/// Each segment says what all before it have said, so that a start needs none but the newest.
void Appender::repeat_clients(bool at_the_end) {
  bool fits = true;
  clients_.for_each([&](const ClientKey& client, std::uint64_t last) {
    fits = fits && writer_.append_numbers({.client = client, .first = last + 1});
  });
  if (fits && (at_the_end || !clients_.empty())) (void)writer_.append_numbers({});
  run_ = {};
}

}  // namespace fastlogd::append

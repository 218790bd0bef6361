// What the appender writes down of clients' own record numbers: NUMBERS frames, by which a start knows what a client need
// not send again.
#include <algorithm>

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

/// The entry's messages [begin, end) are in the log.
void Appender::stored_numbers(const ingress::EntryView& entry, std::size_t begin, std::size_t end) {
  const Numbering numbering = entry.numbering();
  if (begin == end || numbering.client.is_none() || numbering.client != run_.client) return;
  run_.first = numbering.first + end;
  clients_.note(numbering.client, numbering.first + begin, run_.first - 1);
}

/// A connection that broke may have left records behind that its client sends again on the next one, because nobody has
/// told it that they are stored. Numbers tell: whichever comes second is passed over, and acknowledged as if it had come
/// first. This is the one place where all rings of a stream meet, so it doesn't matter who was quicker. A client that doesn't
/// send again leaves a hole in its numbers instead; what lies before one is stored whenever it comes.
void Appender::pass_over_repeated(Input& input, const ingress::EntryView& entry) {
  const Numbering numbering = entry.numbering();
  const std::uint64_t known = clients_.known_from(numbering.client, numbering.first);
  if (known == 0) [[likely]]
    return;
  const auto messages = entry.descriptors();
  const std::size_t repeated = std::min<std::uint64_t>(messages.size(), known);
  for (const ingress::Descriptor& message : messages.first(repeated)) {
    if (wants_sync(message)) ++wanting_;  // it may be stored and not synced
  }
  partners_.counters.repeated_records.add(repeated);
  input.resume_at = repeated;
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

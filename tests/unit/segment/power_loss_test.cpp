// Power loss in the model of the design: of what was not synced, any subset of 512-byte sectors survives (P1, P2, P4).
#include <algorithm>
#include <cstdlib>
#include <random>

#include <gtest/gtest.h>

#include "segment/recovery.hpp"
#include "segment/verify.hpp"
#include "support/log_builder.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::segment {
namespace {

using test::LogBuilder;

/// A log on its way: rolls without trailers, and says in OPEN and CHECKPOINT frames what is durable.
struct Life {
  explicit Life(const std::string& directory) : log(directory, 2 * limits::kMiB) {}

  /// `lie`: durable is said to be what is committed, as if the position were taken after the sync.
  void run(std::mt19937_64& random, bool lie) {
    const int records = static_cast<int>(random() % 60);
    log.begin();
    for (int i = 0; i < records; ++i) {
      if (!log.add(std::to_string(log.next_sequence) + std::string(random() % 200'000, '.'))) {
        log.seal_frame();
        log.begin(lie ? log.writer.position() : durable);
      }
      if (random() % 7 == 0) durable = log.writer.position();
      log.writer.set_durable(lie ? log.writer.position() : durable);
    }
  }

  LogBuilder log;
  LogPosition durable;  ///< an fdatasync that began here has returned
};

/// Zeroes a random part of what no sync has covered. Headers are synced when a segment is prepared.
void lose_power(const Life& life, std::mt19937_64& random) {
  const unsigned keep = static_cast<unsigned>(random() % 101);
  for (std::uint64_t index = 1; index < life.log.next_index; ++index) {
    if (index < life.durable.segment()) continue;
    const std::uint64_t from = index == life.durable.segment() ? life.durable.offset() : kHeaderBytes;
    const std::vector<std::byte> zeros(512);
    auto bytes = test::read_file(life.log.path(index));
    for (std::uint64_t at = (from + 511) / 512 * 512; at < bytes.size(); at += 512) {
      if (random() % 100 < keep) continue;
      std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), 512, std::byte{0});
    }
    test::poke(life.log.path(index), 0, bytes);
  }
}

/// What is wrong after recovery and a new run; empty: nothing.
std::string check(Life& life) {
  const std::uint64_t written = life.log.next_sequence;
  const auto report = recover(posix_file_system(), life.log.directory(), life.log.log_uuid);
  if (!report) return report.error().message();
  const auto again = recover(posix_file_system(), life.log.directory(), life.log.log_uuid);
  if (!again || again->next_sequence != report->next_sequence || again->next_index > report->next_index) {
    return "a second recovery gives another answer";
  }
  for (const auto& note : report->notes) {
    if (note.text.find("acknowledged data is damaged") != std::string::npos) return note.text;
  }
  if (report->next_sequence > written) return "recovery invented records";
  life.log.epoch = report->epoch;
  life.log.next_index = report->next_index;
  life.log.next_sequence = report->next_sequence;
  life.log.begin(LogPosition::of(report->next_index, 0));
  for (const Gap& gap : report->gaps) {
    if (!life.log.writer.append_gap(gap)) return "no room for a gap";
  }
  life.log.add_records(3);
  life.log.seal();
  const auto verified = verify_directory(life.log.directory(), {});
  if (!verified) return verified.error().message();
  for (const auto& finding : verified->findings) {
    if (finding.kind != Finding::Kind::note) return finding.file + ": " + finding.text;
  }
  auto reader = LogReader::open(life.log.directory(), Access::pread);
  if (!reader) return reader.error().message();
  LogItem item;
  // A first segment that was set aside is a GAP without numbers: nobody can tell any more how many it held.
  const bool unknown_start =
      std::any_of(report->gaps.begin(), report->gaps.end(), [](const Gap& gap) { return !gap.numbered(); });
  std::uint64_t due = unknown_start ? 0 : 1;
  LogPosition at;
  while (reader->next(item) == ReadStatus::item) {
    if (item.kind == LogItem::Kind::gap) {
      // Its own place says nothing of where the missing records were: those below durable follow `at`.
      if (item.gap.numbered() && item.gap.first.value == due && at < life.durable) {
        if (item.position.segment() <= life.durable.segment()) return "durable records are missing";
      }
      if (item.gap.numbered()) due = std::max(due, item.gap.last.value + 1);
      continue;
    }
    if (due != 0 && item.record.sequence.value != due)
      return "record " + std::to_string(item.record.sequence.value) + " jumps";
    due = item.record.sequence.value + 1;
    at = item.next;
  }
  return at >= life.durable ? "" : "the log ends before what was durable";
}

TEST(PowerLoss, LosesNothingDurableAndNamesTheRest) {
  const char* given = std::getenv("FASTLOGD_TEST_SEED");
  const std::uint64_t first = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  for (std::uint64_t seed = first; seed < first + 150; ++seed) {
    const test::TempDirectory directory;
    std::mt19937_64 random(seed);
    Life life(directory.path());
    life.run(random, false);
    lose_power(life, random);
    ASSERT_EQ(check(life), "") << "FASTLOGD_TEST_SEED=" << seed;
  }
}

TEST(PowerLoss, OfALogThatCallsDurableWhatIsCommittedIsCaught) {
  int caught = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    const test::TempDirectory directory;
    std::mt19937_64 random(seed);
    Life life(directory.path());
    life.run(random, true);
    lose_power(life, random);
    if (!check(life).empty()) ++caught;
  }
  EXPECT_GT(caught, 5);
}

}  // namespace
}  // namespace fastlogd::segment

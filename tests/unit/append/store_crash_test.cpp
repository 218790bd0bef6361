// A store in a child process, killed at random moments, again and again on the same directory (P1, P3, P4, P6).
// The page cache survives a kill: everything below the committed position that anybody has read must be there.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "segment/control_file.hpp"
#include "segment/log_reader.hpp"
#include "segment/recovery.hpp"
#include "segment/verify.hpp"
#include "support/log_builder.hpp"
#include "support/store_harness.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::append {
namespace {

using segment::Access;
using segment::ControlReader;
using segment::LogItem;
using segment::LogReader;
using segment::ReadStatus;

std::uint64_t seed() {
  const char* given = std::getenv("FASTLOGD_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
}

/// Record n of a log says "n" and then some filling whose length follows from n.
std::string text_of(std::uint64_t sequence) {
  return fmt::format("{} {}", sequence, std::string(sequence * 7919 % 300, 'f'));
}

struct LastWatermarks {
  LogPosition committed;  ///< read just before the kill
  LogPosition oldest;     ///< read behind it: between the two retention may have gone past `committed`
};

/// Runs `life` in a child and kills it `after` its log is up.
LastWatermarks live_and_die(const std::string& directory, std::chrono::microseconds after,
                            const std::function<void()>& life) {
  const pid_t child = ::fork();
  if (child == 0) {
    life();
    ::_exit(0);
  }
  std::optional<ControlReader> control;
  for (int i = 0; i < 20000 && !control; ++i) {
    control = ControlReader::open(directory);
    if (!control) ::usleep(100);
  }
  EXPECT_TRUE(control.has_value());
  ::usleep(static_cast<useconds_t>(after.count()));
  LastWatermarks last;
  if (control) last.committed = control->committed();
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  if (control) last.oldest = control->oldest();
  return last;
}

/// What is wrong with the log after a crash; empty: nothing.
std::string check(const std::string& directory, const segment::Uuid& log, const LastWatermarks& last) {
  auto first = segment::recover(posix_file_system(), directory, log);
  if (!first) return first.error().message();
  if (!first->gaps.empty()) {
    std::string why = "a process crash needs no GAP";
    for (const auto& note : first->notes) why += "; " + note.file + ": " + note.text;
    return why;
  }
  auto second = segment::recover(posix_file_system(), directory, log);
  if (!second || second->next_sequence != first->next_sequence || second->next_index > first->next_index) {
    return "a second recovery gives another answer";
  }
  auto report = segment::verify_directory(directory, {});
  if (!report) return report.error().message();
  for (const auto& finding : report->findings) {
    if (finding.kind != segment::Finding::Kind::note)
      return fmt::format("{}: {}", finding.file, finding.text);
  }
  auto reader = LogReader::open(directory, Access::pread);
  if (!reader) return reader.error().message();
  LogItem item;
  std::uint64_t due = 0;
  LogPosition end;
  while (reader->next(item) == ReadStatus::item) {
    if (item.kind == LogItem::Kind::gap) return "an unexpected gap";
    const std::uint64_t sequence = item.record.sequence.value;
    if (due != 0 && sequence != due) return fmt::format("the numbers jump to {}", sequence);
    if (item.record.message() != text_of(sequence)) return fmt::format("record {} is another", sequence);
    due = sequence + 1;
    end = item.next;
  }
  if (due != 0 && due != first->next_sequence) return "recovery counts differently";
  // The committed position may lie behind an OPEN, SOURCE or PAD: no record may end before it and be missing, so
  // what recovery kept of that segment has to reach it.
  const LogPosition committed = last.committed;
  const auto kept = segment::open_segment(posix_file_system(), directory, committed.segment());
  if (!kept) {
    const bool may_be_gone = committed.offset() == 0 || last.oldest.segment() > committed.segment();
    return may_be_gone ? "" : "the committed segment is gone";
  }
  if (!kept->trailer || kept->trailer->end_offset < committed.offset()) {
    return fmt::format("committed up to {}, kept less", committed.offset());
  }
  return {};
}

StreamOptions options_in(const std::string& directory) {
  StreamOptions options;
  options.name = fmt::format("c{}", ::getpid());
  options.directory = directory;
  options.segment_bytes = limits::kMiB;
  options.durability = {.mode = DurabilityMode::interval, .interval = std::chrono::milliseconds(2)};
  options.retention = {.bytes_max = 12 * limits::kMiB, .keep_free = 0};
  return options;
}

/// A store that numbers its messages as the appender will, until it is killed.
void write_for_ever(const std::string& directory, unsigned block) {
  test::StoreHarness harness(options_in(directory), posix_file_system(), limits::kRingBytesMin,
                             std::filesystem::path(directory).parent_path());
  std::uint64_t next = harness.store->recovery().next_sequence;
  harness.define_source(0, {.identifier = "x"});
  for (;;) {
    std::vector<std::string> messages;
    for (unsigned i = 0; i < block; ++i) messages.push_back(text_of(next++));
    harness.send(messages);
  }
}

void remove_control_files(const segment::Uuid& log) {
  const std::string stem = "/dev/shm/fastlogd-" + segment::to_string(log);
  ::unlink((stem + ".control").c_str());
  ::unlink((stem + ".wait").c_str());
}

TEST(Kill, AtAnyMomentLosesNothingThatWasCommitted) {
  const test::TempDirectory directory;
  const std::string log_directory = directory.path() + "/log";
  const std::uint64_t first_seed = seed();
  SCOPED_TRACE("FASTLOGD_TEST_SEED=" + std::to_string(first_seed));
  std::mt19937_64 random(first_seed);
  segment::Uuid log{};
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  int rounds = 0;
  for (; rounds <= 20 || (rounds < 300 && std::chrono::steady_clock::now() < end); ++rounds) {
    const std::chrono::microseconds after(random() % 12000);
    const unsigned block = 1 + static_cast<unsigned>(random() % 400);
    const LastWatermarks last =
        live_and_die(log_directory, after, [&] { write_for_ever(log_directory, block); });
    log = segment::DirectoryLock::acquire(posix_file_system(), log_directory)->log_uuid().value();
    ASSERT_EQ(check(log_directory, log, last), "") << "round " << rounds;
  }
  remove_control_files(log);
}

TEST(Kill, OfAWriterThatPublishesBeforeItWritesIsCaught) {
  bool caught = false;
  std::mt19937_64 random(1);
  for (int round = 0; round < 60 && !caught; ++round) {
    const test::TempDirectory directory;
    const segment::Uuid log = segment::random_uuid();
    const LastWatermarks last =
        live_and_die(directory.path(), std::chrono::microseconds(random() % 3000), [&] {
          test::LiveLog live(directory.path());
          live.begin();
          for (;;) {
            const std::string text = text_of(live.next_sequence);
            const auto frame = segment::padded(segment::kFrameHeaderBytes + text.size());
            const std::uint64_t end = live.writer.offset() + frame;
            if (end + 200 < segment::frames_end(limits::kMiB)) {
              live.control->set_committed(LogPosition::of(1, end));  // wrong: the frame is not there yet
              if (live.next_sequence % 16 == 0) ::usleep(50);
              FASTLOGD_CHECK(live.add(text));
            }
          }
        });
    const auto uuid = segment::DirectoryLock::acquire(posix_file_system(), directory.path())->log_uuid();
    caught = !check(directory.path(), uuid.value_or(log), last).empty();
    remove_control_files(uuid.value_or(log));
  }
  EXPECT_TRUE(caught);
}

}  // namespace
}  // namespace fastlogd::append

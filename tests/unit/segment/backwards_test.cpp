// Backwards a reader tells what it tells forwards, of a damaged log, too.
#include <algorithm>
#include <filesystem>
#include <functional>

#include <gtest/gtest.h>

#include "log_reader_fixture.hpp"
#include "support/passing_file_system.hpp"

namespace fastlogd::segment {
namespace {

using test::flip_bit;
using test::LogBuilder;

std::string describe(const LogItem& item) {
  if (item.kind == LogItem::Kind::record) return std::to_string(item.record.sequence.value);
  const std::string reason(ingress::loss_reason_name(item.gap.reason));
  return "<" + std::to_string(item.gap.first.value) + "-" + std::to_string(item.gap.last.value) + " " +
         reason + ">";
}

std::vector<std::string> forwards(LogReader& reader) {
  std::vector<std::string> items;
  LogItem item;
  reader.seek_oldest();
  while (reader.next(item) == ReadStatus::item) items.push_back(describe(item));
  return items;
}

/// From the end on, in the order of next().
std::vector<std::string> backwards(LogReader& reader) {
  std::vector<std::string> items;
  LogItem item;
  reader.seek_end();
  while (reader.previous(item) == ReadStatus::item) items.push_back(describe(item));
  std::reverse(items.begin(), items.end());
  return items;
}

std::size_t gaps_of(const std::vector<std::string>& items) {
  return static_cast<std::size_t>(
      std::count_if(items.begin(), items.end(), [](const auto& text) { return text.starts_with("<"); }));
}

/// One segment of four blocks and three of ten records.
void build(LogBuilder& log) {
  log.begin();
  log.fill(1000);
  log.seal();
  for (int n = 0; n < 3; ++n) {
    log.begin();
    log.add_records(10);
    log.seal();
  }
}

struct Damage {
  const char* what;
  std::size_t gaps;
  std::function<void(const LogBuilder&)> make;
};

const std::vector<Damage>& damages() {
  constexpr std::uint64_t kInARecord = kHeaderBytes + 300;
  constexpr std::uint64_t kFirstOfABlock = padded(kFrameHeaderBytes + sizeof(CheckpointPayload));
  static const std::vector<Damage> all = {
      {"none", 0, [](const LogBuilder&) {}},
      {"in a block", 1, [](const LogBuilder& log) { flip_bit(log.path(1), kBlockBytes + 300'000, 0); }},
      {"a block", 1, [](const LogBuilder& log) { flip_bit(log.path(1), kBlockBytes + 8, 0); }},
      {"a block and in the next", 2,
       [](const LogBuilder& log) {
         flip_bit(log.path(1), kBlockBytes + 8, 0);
         flip_bit(log.path(1), 2 * kBlockBytes + 200'000, 0);
       }},
      {"in a block and all but the CHECKPOINT of the next", 2,
       [](const LogBuilder& log) {
         flip_bit(log.path(1), kBlockBytes + 300'000, 0);
         flip_bit(log.path(1), 2 * kBlockBytes + kFirstOfABlock + 8, 0);
       }},
      {"the first OPEN", 1, [](const LogBuilder& log) { flip_bit(log.path(1), kHeaderBytes + 8, 0); }},
      {"another OPEN", 1, [](const LogBuilder& log) { flip_bit(log.path(2), kHeaderBytes + 8, 0); }},
      {"the end of a segment", 1, [](const LogBuilder& log) { flip_bit(log.path(2), kInARecord, 0); }},
      {"the end of the log", 1, [](const LogBuilder& log) { flip_bit(log.path(4), kInARecord, 0); }},
      {"a missing file", 1, [](const LogBuilder& log) { std::filesystem::remove(log.path(2)); }},
      {"a header", 1, [](const LogBuilder& log) { flip_bit(log.path(3), 20, 0); }},
      {"a missing file in front of a damaged OPEN", 2,
       [](const LogBuilder& log) {
         std::filesystem::remove(log.path(2));
         flip_bit(log.path(3), kHeaderBytes + 8, 0);
       }},
  };
  return all;
}

TEST_P(LogReaderBy, TellsTheSameOfADamagedLogInBothDirections) {
  for (const Damage& damage : damages()) {
    LogBuilder log(directory_.path() + "/" + damage.what, 4 * limits::kMiB);
    build(log);
    damage.make(log);
    auto reader = open(log.directory());
    const auto there = forwards(reader);
    EXPECT_EQ(gaps_of(there), damage.gaps) << damage.what;
    EXPECT_EQ(backwards(reader), there) << damage.what;
    std::filesystem::remove_all(log.directory());
  }
}

TEST_P(LogReaderBy, TellsAGapAgainWhenItTurnsRoundBehindIt) {
  LogBuilder log(directory_.path(), 4 * limits::kMiB);
  build(log);
  flip_bit(log.path(1), kBlockBytes + 300'000, 0);
  auto reader = open(directory_.path());
  reader.seek_end();
  LogItem item;
  while (reader.previous(item) == ReadStatus::item && item.kind != LogItem::Kind::gap) continue;
  ASSERT_EQ(item.kind, LogItem::Kind::gap);
  const std::string gap = describe(item);
  const Sequence behind{item.gap.last.value + 1};
  ASSERT_EQ(reader.next(item), ReadStatus::item);
  EXPECT_EQ(describe(item), gap);
  ASSERT_EQ(reader.next(item), ReadStatus::item);
  EXPECT_EQ(item.record.sequence, behind);
}

TEST_P(LogReaderBy, TellsBackwardsNothingThatAGapFrameTells) {
  LogBuilder log(directory_.path());
  log.begin();
  log.add_records(5);
  ASSERT_TRUE(log.writer.append_gap({.reason = ingress::LossReason::durability_unknown,
                                     .count = 2,
                                     .first = Sequence{2},
                                     .last = Sequence{3}}));
  ASSERT_TRUE(log.writer.append_gap(
      {.reason = ingress::LossReason::damaged, .count = 3, .first = Sequence{6}, .last = Sequence{8}}));
  log.next_sequence = 9;
  log.add_records(3);
  log.seal();
  auto reader = open(directory_.path());
  const auto there = forwards(reader);
  EXPECT_EQ(gaps_of(there), 2U);
  EXPECT_EQ(backwards(reader), there);
}

TEST_P(LogReaderBy, FailsBackwardsInsteadOfSkippingWhatItMayNotOpen) {
  class NoMoreDescriptors : public test::PassingFileSystem {
    Result<UniqueFd> open(const std::string& path, int flags, mode_t mode) override {
      if (path.ends_with("2.flog") && refuse)
        return Error{std::error_code(EMFILE, std::system_category()), path};
      return test::PassingFileSystem::open(path, flags, mode);
    }

   public:
    bool refuse = true;
  } files;
  LogBuilder log(directory_.path());
  for (int i = 0; i < 3; ++i) {
    log.begin();
    log.add_records(10);
    log.seal();
  }
  auto reader = LogReader::open(directory_.path(), GetParam(), files);
  ASSERT_TRUE(reader.has_value());
  reader->seek_end();
  LogItem item;
  for (int n = 0; n < 10; ++n) ASSERT_EQ(reader->previous(item), ReadStatus::item);
  EXPECT_EQ(reader->previous(item), ReadStatus::failed);
  files.refuse = false;
  ASSERT_EQ(reader->previous(item), ReadStatus::item);
  EXPECT_EQ(describe(item), "20") << "it stayed where it was";
}

}  // namespace
}  // namespace fastlogd::segment

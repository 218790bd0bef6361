// A store is refused, and so is what would take back what reached the file of it: frames stay there that are valid and don't
// count, because the same records are stored again in the next segment.
#include <atomic>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "append/stream_store.hpp"
#include "segment/log_reader.hpp"
#include "segment/recovery.hpp"
#include "segment/segment_cursor.hpp"
#include "segment/unsealed_scan.hpp"
#include "segment/verify.hpp"
#include "support/passing_file_system.hpp"
#include "support/store_harness.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::append {
namespace {

using test::StoreHarness;
using test::TempDirectory;

constexpr std::uint64_t kSegmentBytes = 2 * limits::kMiB;
constexpr std::uint64_t kPerBlock = 20;

/// Frames that are written to one segment reach its file and are refused all the same; zeros are refused alone.
class LeavingFileSystem : public test::PassingFileSystem {
 public:
  Result<> write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) override {
    const bool in_frames = offset >= segment::kHeaderBytes && offset < segment::frames_end(kSegmentBytes);
    if (!in_frames || !is_of(fd, refusing.load())) return PassingFileSystem::write_at(fd, bytes, offset);
    if (!segment::all_zero(bytes)) (void)PassingFileSystem::write_at(fd, bytes, offset);
    return Error{std::error_code(EIO, std::system_category()), "pwrite"};
  }
  std::atomic<std::uint64_t> refusing{0};  ///< its index; 0: none

 private:
  static bool is_of(int fd, std::uint64_t index) {
    std::error_code error;
    const auto path = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), error);
    return index != 0 && path.filename() == segment::segment_name(index);
  }
};

/// Record n is the n-th message sent.
void expect_all_once(const std::string& directory, std::uint64_t records) {
  std::vector<std::uint64_t> all(records);
  for (std::uint64_t n = 0; n < records; ++n) all[n] = n + 1;
  for (const auto access : {segment::Access::pread, segment::Access::mapped}) {
    auto reader = segment::LogReader::open(directory, access);
    ASSERT_TRUE(reader.has_value());
    std::vector<std::uint64_t> found;
    segment::LogItem item;
    while (reader->next(item) == segment::ReadStatus::item) {
      if (item.kind == segment::LogItem::Kind::gap) {
        EXPECT_EQ(item.gap.reason, ingress::LossReason::durability_unknown);
        continue;
      }
      EXPECT_EQ(item.record.sequence.value, std::stoull(std::string(item.record.message())));
      found.push_back(item.record.sequence.value);
    }
    EXPECT_EQ(found, all);
    std::vector<std::uint64_t> backward;
    while (reader->previous(item) == segment::ReadStatus::item) {
      if (item.kind == segment::LogItem::Kind::record) backward.push_back(item.record.sequence.value);
    }
    EXPECT_EQ(backward, std::vector<std::uint64_t>(all.rbegin(), all.rend()));
  }
}

class TakeBack : public ::testing::Test {
 protected:
  TakeBack() {
    options_.name = "tb" + std::to_string(::getpid());
    options_.directory = folder_.path() + "/log";
    options_.segment_bytes = kSegmentBytes;
    options_.write = WriteBy::pwrite;
    options_.durability = {.mode = DurabilityMode::none};
    options_.retention = {.bytes_max = 0, .keep_free = 0};
  }
  void send_block(StoreHarness& harness) {
    std::vector<std::string> messages;
    for (std::uint64_t n = 0; n < kPerBlock; ++n)
      messages.push_back(std::to_string(++sent_) + std::string(2000, '.'));
    harness.send(messages);
  }
  /// The last record that a scan finds in the frames of a segment, whatever the next one says.
  [[nodiscard]] std::uint64_t last_frame(std::uint64_t index) const {
    auto cursor =
        segment::SegmentCursor::open(posix_file_system(), options_.directory, index, segment::Access::pread);
    return cursor ? segment::scan_unsealed(posix_file_system(), *cursor).last_sequence : 0;
  }
  /// While the daemon runs; when nobody does; and after each of two starts.
  void expect_all_once_everywhere(StoreHarness& harness) {
    expect_all_once(options_.directory, sent_);
    harness.stop();
    const std::string copy = folder_.path() + "/copy";
    std::filesystem::copy(options_.directory, copy);
    expect_all_once(copy, sent_);
    for (int start = 1; start <= 2; ++start) {
      const auto report = segment::recover(posix_file_system(), copy, std::nullopt);
      ASSERT_TRUE(report.has_value()) << report.error().message();
      EXPECT_EQ(report->next_sequence, sent_ + 1);
      EXPECT_TRUE(report->gaps.empty());
      for (const auto& note : report->notes) EXPECT_FALSE(note.damage) << note.file << ": " << note.text;
      expect_all_once(copy, sent_);
      const auto verified = segment::verify_directory(copy, {});
      ASSERT_TRUE(verified.has_value());
      for (const auto& finding : verified->findings)
        ADD_FAILURE() << finding.file << ":" << finding.offset << ": " << finding.text;
    }
  }

  TempDirectory folder_;
  StreamOptions options_;
  LeavingFileSystem files_;
  std::uint64_t sent_ = 0;
};

TEST_F(TakeBack, ThatFailsDoublesNoRecord) {
  StoreHarness harness(options_, files_);
  harness.define_source(0, {.identifier = "x"});
  send_block(harness);
  ASSERT_TRUE(harness.wait_until_stored(sent_));
  const std::uint64_t refusing = harness.store->committed().segment();
  files_.refusing = refusing;
  send_block(harness);
  ASSERT_TRUE(harness.wait_until_stored(sent_));
  ASSERT_GT(harness.store->committed().segment(), refusing);
  ASSERT_EQ(last_frame(refusing), 2 * kPerBlock) << "they are still there";
  expect_all_once_everywhere(harness);
}

TEST_F(TakeBack, OfASegmentsFirstBatchThatFailsDoublesNoRecord) {
  StoreHarness harness(options_, files_);
  harness.define_source(0, {.identifier = "x"});
  send_block(harness);
  ASSERT_TRUE(harness.wait_until_stored(sent_));
  const std::uint64_t refusing = harness.store->committed().segment() + 1;
  files_.refusing = refusing;
  // Until a block doesn't fit any more: the batch that begins the next segment holds records.
  while (harness.store->committed().segment() < refusing) {
    ASSERT_LT(sent_, 2 * kSegmentBytes / 2000);
    send_block(harness);
    ASSERT_TRUE(harness.wait_until_stored(sent_));
  }
  ASSERT_GT(harness.store->committed().segment(), refusing);
  ASSERT_GT(last_frame(refusing), last_frame(refusing - 1)) << "they are still there";
  expect_all_once_everywhere(harness);
}

}  // namespace
}  // namespace fastlogd::append

// A start behind a crash of a process that took the news of a failed write-back with it.
#include "segment/disk_check.hpp"

#include <fcntl.h>

#include <atomic>
#include <cstring>
#include <set>

#include <gtest/gtest.h>

#include "recovery_fixture.hpp"
#include "support/passing_file_system.hpp"

namespace fastlogd::segment {
namespace {

/// One page of every file is in the page cache and not on the disk, until it is written again and synced.
class StaleDisk : public test::PassingFileSystem {
 public:
  std::uint64_t stale_page = ~std::uint64_t{0};
  bool takes_it = true;  ///< a rewrite reaches the disk
  bool allows_direct = true;
  int writes = 0;

  Result<UniqueFd> open(const std::string& path, int flags, mode_t mode) override {
    if ((flags & O_DIRECT) == 0) return PassingFileSystem::open(path, flags, mode);
    if (!allows_direct) return Error{std::error_code(EINVAL, std::system_category()), "open " + path};
    auto fd = PassingFileSystem::open(path, flags & ~O_DIRECT, mode);
    if (fd) direct_.insert(fd->get());
    return fd;
  }
  Result<std::size_t> read_at(int fd, std::span<std::byte> into, std::uint64_t offset) override {
    auto got = PassingFileSystem::read_at(fd, into, offset);
    if (!direct_.contains(fd)) return got;
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(into.data()) % limits::kPageBytes, 0U);
    EXPECT_EQ(offset % limits::kPageBytes, 0U);
    EXPECT_EQ(into.size() % limits::kPageBytes, 0U);
    if (stale_page >= offset && stale_page < offset + into.size()) {
      std::memset(into.data() + (stale_page - offset), 0, limits::kPageBytes);
    }
    return got;
  }
  Result<> write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) override {
    ++writes;
    if (offset == stale_page && takes_it) rewritten_ = true;
    return PassingFileSystem::write_at(fd, bytes, offset);
  }
  Result<> sync_data(int fd) override {
    if (rewritten_) stale_page = ~std::uint64_t{0};
    return PassingFileSystem::sync_data(fd);
  }

 private:
  std::set<int> direct_;
  bool rewritten_ = false;
};

class DiskCheckTest : public ::testing::Test {
 protected:
  DiskCheckTest() {
    log_.begin();
    log_.add_records(3);
    log_.seal();
    log_.begin();
    log_.add_records(100, std::string(200, 'x'));
    log_.leave();  // as kill -9 leaves it
  }
  DiskCheck confirm() { return confirm_on_disk(disk_, log_.directory(), current_boot_id()); }

  test::TempDirectory directory_;
  test::LogBuilder log_{directory_.path()};
  StaleDisk disk_;
};

TEST_F(DiskCheckTest, HasNothingToSayWhenTheDiskHoldsWhatIsRead) {
  const DiskCheck check = confirm();
  EXPECT_TRUE(check.notes.empty()) << check.notes[0].text;
  EXPECT_FALSE(check.unknown_from);
  EXPECT_EQ(disk_.writes, 0);
}

TEST_F(DiskCheckTest, WritesAgainWhatHasNotReachedTheDisk) {
  disk_.stale_page = 2 * limits::kPageBytes;
  const DiskCheck check = confirm();
  ASSERT_EQ(check.notes.size(), 1U);
  EXPECT_EQ(check.notes[0].text,
            "4096 bytes had not reached the disk although a sync was over; they were written again");
  EXPECT_FALSE(check.notes[0].damage);
  EXPECT_FALSE(check.unknown_from);
  EXPECT_EQ(disk_.writes, 1);
  EXPECT_TRUE(confirm().notes.empty());
  EXPECT_EQ(recover_log(log_).next_sequence, 104U);
  expect_sound(log_.directory());
}

TEST_F(DiskCheckTest, SaysFromWhichRecordOnNobodyKnowsWhenTheDiskDoesNotTakeIt) {
  disk_.stale_page = 2 * limits::kPageBytes;
  disk_.takes_it = false;
  const DiskCheck check = confirm();
  ASSERT_EQ(check.notes.size(), 1U);
  EXPECT_TRUE(check.notes[0].damage);
  ASSERT_TRUE(check.unknown_from);
  EXPECT_EQ(check.unknown_from->value, 4U);
}

TEST_F(DiskCheckTest, SaysWhenItIsNotPossible) {
  disk_.allows_direct = false;
  const DiskCheck check = confirm();
  ASSERT_EQ(check.notes.size(), 1U);
  EXPECT_NE(check.notes[0].text.find("can't be compared with the disk"), std::string::npos);
  EXPECT_FALSE(check.notes[0].damage);
}

TEST_F(DiskCheckTest, HasNoCacheToDoubtAfterAnotherBoot) {
  disk_.stale_page = 2 * limits::kPageBytes;
  EXPECT_TRUE(confirm_on_disk(disk_, log_.directory(), random_uuid()).notes.empty());
  EXPECT_EQ(disk_.writes, 0);
}

}  // namespace
}  // namespace fastlogd::segment

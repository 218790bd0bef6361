#include "base/file_system.hpp"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fastlogd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FileSystemTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "fastlogd_base_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }

  UniqueFd create(const std::string& name) {
    auto fd = files_.open(path(name), O_RDWR | O_CREAT, 0600);
    EXPECT_TRUE(fd) << fd.error().message();
    return std::move(*fd);
  }

  static std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

  FileSystem& files_ = posix_file_system();
  std::string folder_;
};

TEST_F(FileSystemTest, WritesAndReadsAtAnOffset) {
  const UniqueFd fd = create("a");
  ASSERT_TRUE(files_.write_at(fd.get(), bytes("hello"), 3));
  std::array<char, 16> buffer{};
  const auto n = files_.read_at(fd.get(), std::as_writable_bytes(std::span(buffer)), 3);
  ASSERT_TRUE(n);
  EXPECT_EQ(std::string_view(buffer.data(), *n), "hello") << "ends with the file, not with the span";
}

TEST_F(FileSystemTest, OpenedFilesAreNotInherited) {
  EXPECT_EQ(::fcntl(create("a").get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

TEST_F(FileSystemTest, AllocatesRealBlocksAndPunchesThemOut) {
  const UniqueFd fd = create("a");
  ASSERT_TRUE(files_.allocate(fd.get(), 0, 1 << 20));
  const auto allocated = files_.status(path("a"));
  ASSERT_TRUE(allocated);
  EXPECT_EQ(allocated->st_size, 1 << 20);
  EXPECT_GE(allocated->st_blocks * 512, 1 << 20);
  ASSERT_TRUE(files_.punch(fd.get(), 0, 1 << 20));
  const auto punched = files_.status(path("a"));
  EXPECT_EQ(punched->st_size, 1 << 20);
  EXPECT_LT(punched->st_blocks, allocated->st_blocks);
}

TEST_F(FileSystemTest, MappingShowsWhatTheFileHolds) {
  const UniqueFd fd = create("a");
  ASSERT_TRUE(files_.allocate(fd.get(), 0, 8192));
  auto mapping = files_.map(fd.get(), 4096, 4096, PROT_READ | PROT_WRITE, MAP_SHARED);
  ASSERT_TRUE(mapping);
  std::memcpy(mapping->data(), "mapped", 6);
  std::array<char, 6> buffer{};
  ASSERT_TRUE(files_.read_at(fd.get(), std::as_writable_bytes(std::span(buffer)), 4096));
  EXPECT_EQ(std::string_view(buffer.data(), 6), "mapped");
}

TEST_F(FileSystemTest, ListsNamesSortedWithoutDots) {
  (void)create("b");
  (void)create(".hidden");
  (void)create("a");
  EXPECT_THAT(*files_.list(folder_), ElementsAre(".hidden", "a", "b"));
}

TEST_F(FileSystemTest, MakesMissingParents) {
  ASSERT_TRUE(files_.make_directories(path("x/y//z/"), 0755));
  ASSERT_TRUE(files_.make_directories(path("x/y/z"), 0755)) << "again is fine";
  EXPECT_TRUE(std::filesystem::is_directory(path("x/y/z")));
}

TEST_F(FileSystemTest, RefusesAFileWhereADirectoryShallBe) {
  (void)create("x");
  EXPECT_EQ(files_.make_directories(path("x"), 0755).error().code, std::errc::not_a_directory);
  EXPECT_EQ(files_.make_directories(path("x/y"), 0755).error().code, std::errc::not_a_directory);
}

TEST_F(FileSystemTest, RenamesUnlinksAndSyncs) {
  const UniqueFd fd = create("a");
  EXPECT_TRUE(files_.sync_data(fd.get()));
  EXPECT_TRUE(files_.set_mode(fd.get(), 0640));
  EXPECT_EQ(files_.status(path("a"))->st_mode & 0777, 0640U);
  EXPECT_TRUE(files_.rename(path("a"), path("b")));
  EXPECT_TRUE(files_.sync_directory(folder_));
  EXPECT_TRUE(files_.unlink(path("b")));
  EXPECT_THAT(*files_.list(folder_), ElementsAre());
}

TEST_F(FileSystemTest, KnowsTheFreeBytes) {
  EXPECT_GT(*files_.free_bytes(folder_), 0U);
}

TEST_F(FileSystemTest, ErrorsCarryOperationPathAndCode) {
  const auto missing = files_.open(path("nowhere"), O_RDONLY, 0);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, std::errc::no_such_file_or_directory);
  EXPECT_EQ(missing.error().message(), "open " + path("nowhere") + ": No such file or directory");
  EXPECT_EQ(files_.write_at(-1, bytes("x"), 7).error().code, std::errc::bad_file_descriptor);
  EXPECT_THAT(files_.write_at(-1, bytes("x"), 7).error().context, HasSubstr("pwrite at 7"));
  EXPECT_FALSE(files_.list(path("nowhere")));
  EXPECT_FALSE(files_.unlink(path("nowhere")));
  EXPECT_FALSE(files_.sync_data(-1));
  EXPECT_FALSE(files_.map(-1, 0, 4096, PROT_READ, MAP_SHARED));
  EXPECT_FALSE(files_.free_bytes(path("nowhere")));
}

TEST_F(FileSystemTest, MappingMovesAndUnmapsOnce) {
  const UniqueFd fd = create("a");
  constexpr std::size_t kSize = (std::size_t{20} << 20) + 4096;  // more than two slices, and a rest
  ASSERT_EQ(::ftruncate(fd.get(), kSize), 0);
  auto mapped = files_.map(fd.get(), 0, kSize, PROT_READ, MAP_SHARED);
  ASSERT_TRUE(mapped);
  Mapping first = std::move(*mapped);
  std::byte* const address = first.data();
  Mapping second = std::move(first);
  EXPECT_EQ(second.data(), address);
  EXPECT_EQ(second.bytes().size(), kSize);
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): a moved-from mapping is empty, by contract
  second.reset();
  EXPECT_FALSE(second);
  std::array<unsigned char, kSize / 4096> resident{};
  EXPECT_NE(::mincore(address, kSize, resident.data()), 0) << "the pages are gone";
}

/// From now on the kernel answers this thread EIO when it reads a directory. False: it can't be asked to (seccomp(2)).
bool fail_reading_directories() {
  constexpr auto kSystemCall = static_cast<std::uint32_t>(offsetof(seccomp_data, nr));
  std::array<sock_filter, 4> filter{{
      {.code = BPF_LD | BPF_W | BPF_ABS, .jt = 0, .jf = 0, .k = kSystemCall},
      {.code = BPF_JMP | BPF_JEQ | BPF_K, .jt = 0, .jf = 1, .k = SYS_getdents64},
      {.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = SECCOMP_RET_ERRNO | EIO},
      {.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = SECCOMP_RET_ALLOW},
  }};
  const sock_fprog program{.len = filter.size(), .filter = filter.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// Half a directory taken for the whole one would have a start give numbers out a second time.
TEST_F(FileSystemTest, ListsADirectoryWholeOrNotAtAll) {
  (void)create("a");
  std::optional<Result<std::vector<std::string>>> names;
  std::thread([&] {
    if (fail_reading_directories()) names = files_.list(folder_);
  }).join();
  if (!names) GTEST_SKIP() << "no seccomp here";
  ASSERT_FALSE(names->has_value());
  EXPECT_EQ(names->error().code, std::errc::io_error);
  EXPECT_EQ(files_.list(folder_).value(), std::vector<std::string>{"a"});
}

}  // namespace
}  // namespace fastlogd

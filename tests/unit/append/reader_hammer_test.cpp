// Readers of other processes hammer a log while its store rolls, seals, punches, removes segments and is killed: they
// never fault (P5) and never see a torn frame (P6).
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "segment/control_file.hpp"
#include "segment/log_reader.hpp"
#include "support/log_builder.hpp"
#include "support/passing_file_system.hpp"
#include "support/store_harness.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::append {
namespace {

using segment::LogItem;
using segment::LogReader;
using segment::ReadStatus;

constexpr int kReaders = 2;
constexpr int kSawSomethingWrong = 3;

/// Record n says n and then some filling whose length follows from n.
std::string text_of(std::uint64_t sequence) {
  return fmt::format("{} {}", sequence, std::string(sequence * 7919 % 3000, 'f'));
}

/// Shared by all processes of a test.
struct Scene {
  std::atomic<bool> ends{false};
  std::array<std::atomic<std::uint64_t>, kReaders> records{};
  std::array<std::atomic<std::uint64_t>, kReaders> newest{};  ///< numbers that have been read
  std::array<std::atomic<std::uint64_t>, kReaders> gaps{};
};

/// Reads everything, forwards and backwards, and jumps about; ends the process if anything is wrong.
class Hammer {
 public:
  Hammer(std::string directory, Scene& scene, int number)
      : directory_(std::move(directory)),
        scene_(scene),
        number_(static_cast<std::size_t>(number)),
        random_(static_cast<std::uint64_t>(number)) {}

  void run() {
    while (!scene_.ends.load()) {
      auto reader = LogReader::open(directory_, segment::Access::mapped);
      if (!reader) {
        ::usleep(200);
        continue;
      }
      for (int i = 0; i < 100 && !scene_.ends.load(); ++i) swing(*reader);
    }
  }

 private:
  void swing(LogReader& reader) {
    LogItem item;
    const unsigned choice = static_cast<unsigned>(random_() % 8);
    if (choice == 0) reader.seek_oldest();
    if (choice == 1) reader.seek_end();
    if (choice == 2) (void)reader.seek_sequence(Sequence{1 + random_() % (newest_ + 1)});
    for (unsigned left = static_cast<unsigned>(random_() % 3000); left > 0; --left) {
      const LogPosition published = reader.committed();
      const ReadStatus status = choice == 3 ? reader.previous(item) : reader.next(item);
      if (status == ReadStatus::failed) complain(reader.error().message());
      if (status == ReadStatus::caught_up && choice != 3 && published.offset() != 0 &&
          reader.position() < published) {
        complain(fmt::format("published up to {}, readable up to {}", published.offset(),
                             reader.position().offset()));
      }
      if (status != ReadStatus::item) {
        if (choice != 3) reader.wait(std::chrono::milliseconds(1));
        return;
      }
      look_at(item);
    }
  }

  void look_at(const LogItem& item) {
    if (item.kind == LogItem::Kind::gap) {
      if (item.gap.reason != ingress::LossReason::retention) {
        complain(fmt::format("records {} to {} are damaged", item.gap.first.value, item.gap.last.value));
      }
      scene_.gaps[number_].fetch_add(1);
      return;
    }
    const std::uint64_t sequence = item.record.sequence.value;
    if (item.record.message() != text_of(sequence)) complain(fmt::format("record {} is torn", sequence));
    newest_ = std::max(newest_, sequence);
    scene_.newest[number_].store(newest_);
    scene_.records[number_].fetch_add(1);
  }

  [[noreturn]] void complain(const std::string& what) const {
    fmt::print(stderr, "reader {}: {}\n", number_, what);
    ::_exit(kSawSomethingWrong);
  }

  const std::string directory_;
  Scene& scene_;
  const std::size_t number_;
  std::mt19937_64 random_;
  std::uint64_t newest_ = 1;
};

pid_t in_a_process(const std::function<void()>& life) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  life();
  ::_exit(0);
}

/// True: one of the children has ended, and can be waited for.
bool has_lost_a_child() {
  siginfo_t ended{};
  return ::waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid != 0;
}

/// However long a writer takes until it has begun: each reader has read some of what it writes, or one has ended.
void wait_until_all_read(const Scene& scene) {
  std::array<std::uint64_t, kReaders> before{};
  for (std::size_t i = 0; i < kReaders; ++i) before.at(i) = scene.newest.at(i).load();
  const auto all_read = [&] {
    for (std::size_t i = 0; i < kReaders; ++i) {
      if (scene.newest.at(i).load() < before.at(i) + 100) return false;
    }
    return true;
  };
  for (int i = 0; i < 10'000 && !all_read() && !has_lost_a_child(); ++i) ::usleep(1000);
}

/// Lets readers and, one after the other, `lives` of a writer run, each killed after a while; more lives, within bounds,
/// where retention has overtaken no reader yet. Says what befell a reader;
/// empty: nothing.
std::string hammer(const std::string& directory, Scene& scene, int lives,
                   const std::function<void()>& write) {
  std::array<pid_t, kReaders> readers{};
  for (int i = 0; i < kReaders; ++i) {
    readers[static_cast<std::size_t>(i)] = in_a_process([&] { Hammer(directory, scene, i).run(); });
  }
  std::mt19937_64 random(1);
  const auto overtaken = [&] { return scene.gaps[0].load() + scene.gaps[1].load() > 0; };
  for (int life = 0; life < lives || (!overtaken() && life < 6 * lives); ++life) {
    const pid_t writer = in_a_process(write);
    wait_until_all_read(scene);
    ::usleep(static_cast<useconds_t>(150'000 + random() % 400'000));
    ::kill(writer, SIGKILL);
    ::waitpid(writer, nullptr, 0);
    if (has_lost_a_child()) break;
  }
  scene.ends.store(true);
  std::string befell;
  for (const pid_t reader : readers) {
    int status = 0;
    ::waitpid(reader, &status, 0);
    if (WIFSIGNALED(status)) befell += fmt::format("a reader took signal {}; ", WTERMSIG(status));
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0) befell += "a reader saw something wrong; ";
  }
  return befell;
}

class ReaderHammer : public ::testing::Test {
 protected:
  ReaderHammer() {
    void* shared = ::mmap(nullptr, sizeof(Scene), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    FASTLOGD_CHECK(shared != MAP_FAILED);
    scene = new (shared) Scene{};
    std::filesystem::create_directories(log);
  }
  ~ReaderHammer() override {
    if (const auto lock = segment::DirectoryLock::acquire(posix_file_system(), log);
        lock && lock->log_uuid()) {
      const std::string stem = "/dev/shm/fastlogd-" + segment::to_string(*lock->log_uuid());
      ::unlink((stem + ".control").c_str());
      ::unlink((stem + ".wait").c_str());
    }
    ::munmap(scene, sizeof(Scene));
  }

  /// A store that rolls, seals and removes all the time.
  void write_for_ever(FileSystem& files) const {
    StreamOptions options;
    options.name = "hammered";
    options.directory = log;
    options.segment_bytes = limits::kMiB;
    options.durability = {.mode = DurabilityMode::none};
    options.retention = {.bytes_max = 6 * limits::kMiB, .keep_free = 0};
    test::StoreHarness harness(options, files, limits::kRingBytesMin, folder.path());
    std::uint64_t next = harness.store->recovery().next_sequence;
    harness.define_source(0, {.identifier = "x"});
    for (std::uint64_t block = 1;; ++block) {
      std::vector<std::string> messages;
      for (int i = 0; i < 20; ++i) messages.push_back(text_of(next++));
      harness.send(messages);
      if (block % 7 == 0) harness.store->rotate();  // sealed half empty: much to give back
      ::usleep(500);
    }
  }

  test::TempDirectory folder{"/dev/shm"};
  std::string log = folder.path() + "/log";
  Scene* scene = nullptr;
};

TEST_F(ReaderHammer, P05_P06_NeverFaultsAndNeverSeesATornFrame) {
  EXPECT_EQ(hammer(log, *scene, 6, [this] { write_for_ever(posix_file_system()); }), "");
  for (int i = 0; i < kReaders; ++i) {
    EXPECT_GT(scene->records[static_cast<std::size_t>(i)].load(), 1000U);
  }
  EXPECT_GT(scene->gaps[0].load() + scene->gaps[1].load(), 0U) << "retention was to overtake a reader";
}

TEST_F(ReaderHammer, P05_OfAStoreThatTruncatesInsteadOfPunchingIsCaught) {
  class Truncates : public test::PassingFileSystem {
    Result<> punch(int fd, std::uint64_t offset, std::uint64_t) override {
      if (::ftruncate(fd, static_cast<off_t>(offset)) != 0) return errno_error("ftruncate");
      return {};
    }
  } files;
  EXPECT_NE(hammer(log, *scene, 20, [&] { write_for_ever(files); }), "");
}

TEST_F(ReaderHammer, P06_OfAWriterThatPublishesBeforeItWritesIsCaught) {
  const auto write = [this] {
    test::LiveLog live(log);
    live.begin();
    for (;;) {
      const std::string text = text_of(live.next_sequence);
      const std::uint64_t end =
          live.writer.offset() + segment::padded(segment::kFrameHeaderBytes + text.size());
      if (end + 200 > segment::frames_end(limits::kMiB)) ::_exit(0);
      live.control->set_committed(
          LogPosition::of(live.next_index - 1, end));  // wrong: the frame is not there yet
      ::usleep(200);
      FASTLOGD_CHECK(live.add(text));
    }
  };
  EXPECT_NE(hammer(log, *scene, 1, write), "");
}

}  // namespace
}  // namespace fastlogd::append

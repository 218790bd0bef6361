// Durability `dax` on a machine whose power fails: the daemon's own append path, from the ring to the segment, over a
// model of persistent memory behind a CPU cache (support/cache_model.hpp). P1, P2.
//
// Required of every state that a power loss may leave: everything committed is there (with dax what is committed is
// durable), and no segment holds a frame that was begun and is not whole: a batch comes whole or not at all.
#include <cstdlib>
#include <random>

#include <gtest/gtest.h>

#include "append/stream_store.hpp"
#include "segment/log_reader.hpp"
#include "segment/recovery.hpp"
#include "segment/segment_cursor.hpp"
#include "support/cache_model.hpp"
#include "support/store_harness.hpp"
#include "support/temp_directory.hpp"

namespace fastlogd::append {
namespace {

using test::CacheModel;
using test::DaxFileSystem;
using test::StoreHarness;
using test::TempDirectory;

/// Recovery need not sync what only a test will read.
class UnsyncedFileSystem : public test::PassingFileSystem {
 public:
  Result<> sync_data(int /*fd*/) override { return {}; }
  Result<> sync_directory(const std::string& /*path*/) override { return {}; }
};

/// How a wrong program might use the instructions.
enum class Mistake : std::uint8_t { none, no_write_back, no_fence, commit_word_first };

class Mistaken : public Persist {
 public:
  Mistaken(CacheModel& model, Mistake mistake) : model_(model), mistake_(mistake) {}
  void write_back(std::span<const std::byte> bytes) override {
    if (mistake_ == Mistake::no_write_back) return;
    if (mistake_ == Mistake::commit_word_first && bytes.size() > sizeof(std::uint64_t)) {
      put_off_ = bytes;
      return;
    }
    model_.write_back(bytes);
    if (mistake_ != Mistake::commit_word_first) return;
    model_.fence();
    model_.write_back(put_off_);
  }
  void fence() override {
    if (mistake_ != Mistake::no_fence) model_.fence();
  }

 private:
  CacheModel& model_;
  Mistake mistake_;
  std::span<const std::byte> put_off_;
};

/// A frame that was begun and is not whole, in a segment without a trailer; empty: none.
std::string find_torn_frame(const std::string& directory) {
  const auto indices = segment::list_segments(posix_file_system(), directory);
  for (const std::uint64_t index : *indices) {
    auto cursor = segment::SegmentCursor::open(posix_file_system(), directory, index, segment::Access::pread);
    if (!cursor) return cursor.error().message();
    if (cursor->trailer()) continue;
    segment::FrameView frame;
    segment::FrameStatus status = segment::FrameStatus::valid;
    while (status == segment::FrameStatus::valid) status = cursor->next(cursor->end_offset(), frame);
    if (status == segment::FrameStatus::invalid) {
      return "a torn frame in segment " + std::to_string(index) + " at " + std::to_string(cursor->offset());
    }
  }
  return {};
}

/// What is wrong with the files in `directory`; empty: nothing. `committed` records were, before power failed.
std::string check(const std::string& directory, const segment::Uuid& log, std::uint64_t committed) {
  if (std::string torn = find_torn_frame(directory); !torn.empty()) return torn;
  UnsyncedFileSystem files;
  const auto report = segment::recover(files, directory, log);
  if (!report) return report.error().message();
  if (report->next_sequence <= committed) {
    return "record " + std::to_string(committed) + " was committed, the log goes on with " +
           std::to_string(report->next_sequence);
  }
  auto reader = segment::LogReader::open(directory, segment::Access::pread);
  if (!reader) return reader.error().message();
  segment::LogItem item;
  std::uint64_t due = 1;
  while (reader->next(item) == segment::ReadStatus::item) {
    if (item.kind != segment::LogItem::Kind::record) return "a gap";
    if (item.record.sequence.value != due++) return "record " + std::to_string(due - 1) + " is missing";
    const std::string expected = "<" + std::to_string(due - 1) + ">";
    if (!item.record.message().starts_with(expected)) return "record " + expected + " is another";
  }
  return due > committed ? "" : "the log ends with record " + std::to_string(due - 1);
}

struct Found {
  std::uint64_t states = 0;
  std::uint64_t wrong = 0;
  std::string first;
};

/// One life of a store, with crashes at random moments of it.
void live(std::uint64_t seed, Mistake mistake, Found& found) {
  const TempDirectory directory("/dev/shm");
  const std::string image = directory.path() + "/image";
  std::mt19937_64 random(seed);
  CacheModel model;
  DaxFileSystem files(&model);
  Mistaken persist(model, mistake);
  StreamOptions options{.name = "dax" + std::to_string(::getpid()),
                        .directory = directory.path() + "/log",
                        .segment_bytes = limits::kMiB,
                        .durability = {.mode = DurabilityMode::dax},
                        .retention = {.bytes_max = 0, .keep_free = 0}};
  auto store = StreamStore::open(
      std::make_shared<const StreamOptions>(options),
      {.files = files, .runtime_directory = "/dev/shm", .persist = persist, .own_thread = false});
  ASSERT_TRUE(store.has_value()) << store.error().message();
  StoreHarness harness(std::move(*store));
  ASSERT_EQ(harness.store->status().write, "dax");
  std::uint64_t committed = 0;  // records below committed_pos, as of the moment
  const auto maybe_crash = [&] {
    if (random() % 6 != 0) return;
    model.crash(image, random, static_cast<unsigned>(random() % 101));
    ++found.states;
    const std::string wrong = check(image, harness.store->recovery().log_uuid, committed);
    if (wrong.empty()) return;
    if (found.wrong++ == 0) found.first = wrong + ", FASTLOGD_TEST_SEED=" + std::to_string(seed);
  };
  harness.define_source(0, {.identifier = "x"});
  model.moment = maybe_crash;
  std::uint64_t sent = 0;
  for (int block = 0; block < 25; ++block) {
    std::vector<std::string> messages;
    const std::size_t records = 1 + random() % 12;
    const std::size_t largest = random() % 5 == 0 ? 60'000 : 300;
    for (std::size_t i = 0; i < records; ++i) {
      messages.push_back("<" + std::to_string(++sent) + ">" + std::string(random() % largest, '.'));
    }
    harness.send(messages);
    while (harness.ring->has_data()) {
      if (harness.store->do_work() == 0) std::this_thread::yield();  // the next segment is being prepared
    }
    committed = sent;
    maybe_crash();
  }
  model.moment = nullptr;
  harness.stop();
}

std::uint64_t first_seed() {
  const char* given = std::getenv("FASTLOGD_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
}

TEST(DaxCrash, LosesNothingThatWasCommittedAndTearsNoFrame) {
  const std::uint64_t first = first_seed();
  Found found;
  for (std::uint64_t seed = first; found.states < 2000; ++seed) {
    live(seed, Mistake::none, found);
    ASSERT_EQ(found.first, "") << found.wrong << " of " << found.states << " states";
  }
  RecordProperty("crash_states", static_cast<int>(found.states));
}

class DaxMistake : public ::testing::TestWithParam<Mistake> {};
INSTANTIATE_TEST_SUITE_P(, DaxMistake,
                         ::testing::Values(Mistake::no_write_back, Mistake::no_fence,
                                           Mistake::commit_word_first));

TEST_P(DaxMistake, IsCaught) {
  Found found;
  for (std::uint64_t seed = 1; found.states < 200; ++seed) live(seed, GetParam(), found);
  EXPECT_GT(found.wrong, 5U) << "of " << found.states << " states";
}

}  // namespace
}  // namespace fastlogd::append

// A segment took no more stores, and frames that don't count stayed in it: where it ended is said by the next one alone.
#include "segment/told_end.hpp"

#include <cerrno>

#include "log_reader_fixture.hpp"
#include "support/faulty_file_system.hpp"

namespace fastlogd::segment {
namespace {

using test::FaultyFileSystem;
using test::LogBuilder;
using test::Op;
using test::read_to_end;
using test::records;

/// Records 1 to 5; 4 and 5 are in the first segment, too, behind its end, with another text.
class ToldEnd : public LogReaderBy {
 protected:
  ToldEnd() : log_(directory_.path()) {
    log_.begin();
    log_.add_records(3);
    log_.leave();
    log_.add_records(2, "taken back");
    log_.next_sequence = 4;
    log_.reason = OpenReason::failed;
    log_.begin();
    log_.add_records(2);
  }
  LogBuilder log_;
};
INSTANTIATE_TEST_SUITE_P(, ToldEnd, ::testing::Values(Access::mapped, Access::pread), access_name);

TEST_P(ToldEnd, HidesWhatLiesBehindIt) {
  auto reader = open(directory_.path());
  EXPECT_EQ(read_to_end(reader), records(1, 5));
}

// No descriptor was free for the next segment: nobody has said yet that there is no other end.
TEST_P(ToldEnd, IsAskedAgainWhereItCouldNotBeAsked) {
  FaultyFileSystem files;
  auto reader = LogReader::open(directory_.path(), GetParam(), files);
  ASSERT_TRUE(reader.has_value());
  files.fail(Op::open, EMFILE, 2, 1);  // behind that of the first segment
  LogItem item;
  ASSERT_EQ(reader->next(item), ReadStatus::failed);
  EXPECT_EQ(reader->error().code, std::errc::too_many_files_open);
  EXPECT_EQ(read_to_end(*reader), records(1, 5));
}

TEST_P(ToldEnd, IsAskedAgainOnTheWayBack) {
  FaultyFileSystem files;
  auto reader = LogReader::open(directory_.path(), GetParam(), files);
  ASSERT_TRUE(reader.has_value());
  LogItem item;
  reader->seek_end();
  for (std::uint64_t number = 5; number > 3; --number) {
    ASSERT_EQ(reader->previous(item), ReadStatus::item);
    EXPECT_EQ(item.record.sequence.value, number);
  }
  files.fail(Op::list, EMFILE, 2, 1);  // behind the search for the segment before
  ASSERT_EQ(reader->previous(item), ReadStatus::failed);
  for (std::uint64_t number = 3; number > 0; --number) {
    ASSERT_EQ(reader->previous(item), ReadStatus::item);
    EXPECT_EQ(item.record.sequence.value, number);
    EXPECT_EQ(item.record.message(), "record " + std::to_string(number));
  }
}

}  // namespace
}  // namespace fastlogd::segment

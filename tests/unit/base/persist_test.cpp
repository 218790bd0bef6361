#include "base/persist.hpp"

#include <cstring>
#include <vector>

#include <gtest/gtest.h>

namespace fastlogd {
namespace {

TEST(Persist, KnowsAtLeastOneInstructionOnThisProcessorAndNamesIt) {
#if defined(__x86_64__)
  EXPECT_TRUE(has_write_back(WriteBack::clflush)) << "every x86-64 has it";
  EXPECT_NE(best_write_back(), WriteBack::none);
#else
  EXPECT_EQ(best_write_back(), WriteBack::none);
#endif
  EXPECT_TRUE(has_write_back(best_write_back()));
  EXPECT_FALSE(name_of(best_write_back()).empty());
  EXPECT_EQ(name_of(WriteBack::clwb), "clwb");
}

TEST(Persist, TakesTheFastestThatIsThere) {
  for (const WriteBack one : {WriteBack::clwb, WriteBack::clflushopt, WriteBack::clflush}) {
    if (!has_write_back(one)) continue;
    EXPECT_EQ(best_write_back(), one);
    return;
  }
}

/// Whether an instruction is one the processor knows shows itself: another is SIGILL.
class EachInstruction : public ::testing::TestWithParam<WriteBack> {};
INSTANTIATE_TEST_SUITE_P(, EachInstruction,
                         ::testing::Values(WriteBack::clwb, WriteBack::clflushopt, WriteBack::clflush),
                         [](const auto& each) { return std::string(name_of(each.param)); });

TEST_P(EachInstruction, LeavesTheBytesAsTheyAreWhereverASpanBeginsAndEnds) {
  if (!has_write_back(GetParam())) GTEST_SKIP() << "not on this processor";
  std::vector<std::byte> memory(1024, std::byte{0x5a});
  const std::vector<std::byte> expected = memory;
  for (std::size_t from = 0; from < 130; from += 13) {
    for (std::size_t bytes = 0; bytes < 300; bytes += 61) {
      write_back_with(GetParam(), std::span(memory).subspan(from, bytes));
    }
  }
  processor_persist().fence();
  EXPECT_EQ(memory, expected);
}

TEST(Persist, OfNothingTouchesNothing) {
  processor_persist().write_back({});  // no first line: a null pointer must not be touched
  processor_persist().fence();
}

}  // namespace
}  // namespace fastlogd

// What is known of the active segment's mapping, and how often the kernel is asked for it.
#include "append/active_mapping.hpp"

#include <gtest/gtest.h>

namespace fastlogd::append {
namespace {

struct Kernel {
  MappingFacts answer;
  int asked = 0;
  ActiveMapping mapping{[this](const void*) {
    ++asked;
    return answer;
  }};
};

void be(LiveSegment& segment, std::uint64_t index, bool huge_pages_asked) {
  segment.file.header.index = index;
  segment.file.huge_pages_asked = huge_pages_asked;
}

TEST(ActiveMapping, AsksTheKernelOncePerSegment) {
  Kernel kernel;
  kernel.answer.map_sync = true;
  LiveSegment first;
  be(first, 1, false);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(kernel.mapping.of(first).map_sync);
  EXPECT_EQ(kernel.asked, 1);
  kernel.answer.map_sync = false;
  LiveSegment second;
  be(second, 2, false);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(kernel.mapping.of(second).map_sync) << "that was the first one's";
  EXPECT_EQ(kernel.asked, 2);
}

TEST(ActiveMapping, AsksOnWhileHugePagesMayStillCome) {
  Kernel kernel;
  LiveSegment segment;
  be(segment, 1, true);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(kernel.mapping.of(segment).huge_pages);
  EXPECT_EQ(kernel.asked, 3);
  kernel.answer.huge_pages = true;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(kernel.mapping.of(segment).huge_pages);
  EXPECT_EQ(kernel.asked, 4);
}

}  // namespace
}  // namespace fastlogd::append

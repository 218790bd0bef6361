#include <set>
#include <string>

#include <gtest/gtest.h>

#include "fastlog/fastlog_types.h"

namespace fastlogd {
namespace {

TEST(LibraryResults, EachHasATextOfItsOwn) {
  std::set<std::string> texts;
  for (int result = FASTLOG_OK; result >= FASTLOG_ERROR_CLOSED; --result)
    texts.insert(fastlog_result_text(result));
  EXPECT_EQ(texts.size(), static_cast<std::size_t>(1 - FASTLOG_ERROR_CLOSED));
  EXPECT_FALSE(texts.contains(fastlog_result_text(FASTLOG_ERROR_CLOSED - 1)));
  EXPECT_STREQ(fastlog_result_text(17), "success");
}

TEST(LibraryVersion, IsTheHeaders) {
  EXPECT_EQ(fastlog_abi_version(), FASTLOG_ABI_VERSION);
  EXPECT_STREQ(fastlog_version(), FASTLOGD_VERSION);
}

}  // namespace
}  // namespace fastlogd

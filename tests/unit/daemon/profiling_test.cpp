#include "daemon/profiling.hpp"

#include <array>

#include <gtest/gtest.h>

namespace fastlogd::daemon {
namespace {

TEST(ProfileSeconds, AreThirtyUnlessSaidOtherwise) {
  EXPECT_EQ(parse_profile_seconds(std::nullopt), std::chrono::seconds(30));
  EXPECT_EQ(parse_profile_seconds("1"), std::chrono::seconds(1));
  EXPECT_EQ(parse_profile_seconds("300"), std::chrono::seconds(300));
}

TEST(ProfileSeconds, OutOfRangeOrNoNumberAreRefused) {
  for (const char* text : {"", "0", "301", "-1", "1s", " 1", "99999999999999999999", "x"}) {
    EXPECT_EQ(parse_profile_seconds(text), std::nullopt) << text;
  }
}

/// Without an allowing configuration there is nothing at these paths, as for any other path.
TEST(ProfilingRoutes, AnswerOnlyWhomTheConfigurationAllows) {
  boost::asio::io_context io;
  Profiling profiling(io);
  std::vector<http::Route> control;
  std::vector<http::Route> port;
  profiling.add_routes(control, ProfilingAccess::control);
  profiling.add_routes(port, ProfilingAccess::http);
  ASSERT_EQ(control.size(), 4U);
  const auto status = [](const http::Route& route) {
    unsigned code = 0;
    route.handler({"GET", route.path, "seconds=none"},
                  [&](const http::Response& response) { code = response.status; });
    return code;
  };
  for (std::size_t i = 0; i < control.size(); ++i) {
    const unsigned expected =
        std::array{400U, 501U, 200U, 200U}.at(i);  // asked wrongly, and without the allocator
    profiling.allow(ProfilingAccess::off);
    EXPECT_EQ(status(control[i]), 404U);
    profiling.allow(ProfilingAccess::control);
    EXPECT_EQ(status(control[i]), expected);
    EXPECT_EQ(status(port[i]), 404U);
    profiling.allow(ProfilingAccess::http);
    EXPECT_EQ(status(control[i]), expected);
    EXPECT_EQ(status(port[i]), expected);
  }
}

}  // namespace
}  // namespace fastlogd::daemon

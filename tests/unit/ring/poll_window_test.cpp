#include "ring/poll_window.hpp"

#include <gtest/gtest.h>

namespace fastlogd::ring {
namespace {

constexpr std::int64_t kShort = PollWindow::kShortWaitNanos;
constexpr std::int64_t kLong = kShort + 1;

TEST(PollWindow, IsClosedUntilAWaitWasShort) {
  PollWindow window;
  EXPECT_EQ(window.nanos(), 0);
  window.waited(kLong);
  EXPECT_EQ(window.nanos(), 0);
  window.waited(kShort);
  EXPECT_EQ(window.nanos(), PollWindow::kFirstNanos);
}

TEST(PollWindow, WidensUpToItsBound) {
  PollWindow window;
  std::int64_t before = 0;
  for (int i = 0; i < 3; ++i) {
    window.waited(1);
    EXPECT_GT(window.nanos(), before);
    before = window.nanos();
  }
  for (int i = 0; i < 100; ++i) window.waited(0);
  EXPECT_EQ(window.nanos(), PollWindow::kWidestNanos);
}

TEST(PollWindow, IsClosedByTwoLongWaits) {
  PollWindow window;
  for (int i = 0; i < 100; ++i) window.waited(1);
  window.waited(kLong);
  EXPECT_LE(window.nanos(), PollWindow::kWidestNanos / 4);
  window.waited(kLong);
  EXPECT_EQ(window.nanos(), 0);
}

TEST(PollWindow, LooksUntilItFindsSomethingOrHasPassed) {
  PollWindow window;
  int looks = 0;
  EXPECT_FALSE(window.look([&] { return ++looks > 0; })) << "a closed window doesn't look";
  EXPECT_EQ(looks, 0);
  window.waited(1);
  EXPECT_TRUE(window.look([&] { return ++looks == 1; })) << "on however busy a machine, once it does";
  EXPECT_EQ(looks, 1);
  const std::int64_t since_ns = monotonic_ns();
  EXPECT_FALSE(window.look([] { return false; }));
  EXPECT_GE(monotonic_ns() - since_ns, window.nanos());
}

}  // namespace
}  // namespace fastlogd::ring

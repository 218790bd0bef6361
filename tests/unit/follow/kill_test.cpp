// kill -9 of a process that follows a growing log: the next one goes on at the byte where it was.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <random>
#include <sstream>

#include <gtest/gtest.h>

#include "follow/text_follower.hpp"
#include "support/log_builder.hpp"
#include "unit/follow/fakes.hpp"

namespace fastlogd::follow::test {
namespace {

/// Follows until it is killed.
[[noreturn]] void follow_forever(const std::string& log_directory, const TextFileOptions& options) {
  const SnapshotBox<TextFileOptions> box(std::make_shared<const TextFileOptions>(options));
  TextFileCounters counters;
  TextFollower follower({"main", log_directory, limits::kMiB}, box, counters);
  follower.start();
  for (;;) ::pause();
}

/// The part of each line that is the log's; the rest is time and host.
std::vector<std::string> messages(const std::string& text) {
  std::vector<std::string> found;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);)
    found.push_back(line.substr(std::min(line.find("record "), line.size())));
  return found;
}

TEST(KilledFollower, RepeatsAndSkipsNothing) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  diag::set_level(diag::Level::error);
  const TemporaryDirectory directory;
  fastlogd::test::LogBuilder log(directory / "main");
  const TextFileOptions options{.path = directory / "main.log", .rotate_bytes = 40'000, .keep = 1000};
  for (int round = 0; round < 25; ++round) {
    log.begin();
    log.add_records(2000);
    log.seal();
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) follow_forever(log.directory(), options);
    ::usleep(std::uniform_int_distribution<useconds_t>(0, 12'000)(random));
    ::kill(child, SIGKILL);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  }
  const SnapshotBox<TextFileOptions> box(std::make_shared<const TextFileOptions>(options));
  TextFileCounters counters;
  TextFollower last({"main", log.directory(), limits::kMiB}, box, counters);
  last.start();
  ASSERT_TRUE(last.stop(std::chrono::steady_clock::now() + std::chrono::seconds(20)));
  const auto found = messages(contents_with_rotated(options.path));
  const auto expected = fastlogd::test::records(1, log.next_sequence - 1);
  const auto [wrong, due] = std::mismatch(found.begin(), found.end(), expected.begin(), expected.end());
  EXPECT_TRUE(wrong == found.end() && due == expected.end())
      << "found " << (wrong == found.end() ? "the end" : *wrong) << " where "
      << (due == expected.end() ? "the end" : *due) << " was due; " << found.size() << " of "
      << expected.size();
}

}  // namespace
}  // namespace fastlogd::follow::test

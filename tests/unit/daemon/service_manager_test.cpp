#include "daemon/service_manager.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/clock.hpp"

namespace fastlogd::daemon {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

/// A datagram socket where systemd would listen, named by NOTIFY_SOCKET.
class Notify : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/fastlogd_notify_XXXXXX";
    directory_ = ::mkdtemp(pattern);
    const std::string path = directory_ + "/notify";
    socket_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    ASSERT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  void TearDown() override {
    ::unsetenv("NOTIFY_SOCKET");
    std::filesystem::remove_all(directory_);
  }
  std::string received() {
    char buffer[4096];
    const ssize_t got = ::recv(socket_.get(), buffer, sizeof(buffer), 0);
    return got > 0 ? std::string(buffer, static_cast<std::size_t>(got)) : "";
  }

  std::string directory_;
  UniqueFd socket_;
};

TEST_F(Notify, SaysReadyWithAStatus) {
  notify_ready("generation 1, 1 stream, 2 listeners");
  EXPECT_EQ(received(), "READY=1\nSTATUS=generation 1, 1 stream, 2 listeners");
}

TEST_F(Notify, SaysWhenAReloadBegan) {
  const std::int64_t before = monotonic_ns() / 1000;
  notify_reloading();
  const std::string message = received();
  EXPECT_THAT(message, StartsWith("RELOADING=1\nMONOTONIC_USEC="));
  const std::int64_t said = std::stoll(message.substr(std::strlen("RELOADING=1\nMONOTONIC_USEC=")));
  EXPECT_GE(said, before);
  EXPECT_LE(said, monotonic_ns() / 1000);
}

TEST_F(Notify, SaysStoppingAndAlive) {
  notify_stopping();
  EXPECT_THAT(received(), StartsWith("STOPPING=1\n"));
  notify_alive();
  EXPECT_EQ(received(), "WATCHDOG=1");
}

TEST(NotifyWithoutServiceManager, DoesNothing) {
  ::unsetenv("NOTIFY_SOCKET");
  notify_ready("nobody listens");
  EXPECT_EQ(watchdog_period(), std::nullopt);
}

TEST(Watchdog, IsForTheProcessItNames) {
  ::setenv("WATCHDOG_USEC", "30000000", 1);
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  EXPECT_EQ(watchdog_period(), std::chrono::seconds(30));
  ::setenv("WATCHDOG_PID", "1", 1);
  EXPECT_EQ(watchdog_period(), std::nullopt);
  ::unsetenv("WATCHDOG_USEC");
  ::unsetenv("WATCHDOG_PID");
}

/// Runs `check` in a child whose descriptors from 3 on are `sockets`, as systemd leaves them; true if it returned true.
bool in_activated_child(const std::vector<int>& descriptors, const std::string& names,
                        const std::function<bool()>& check) {
  const pid_t child = ::fork();
  if (child == 0) {
    std::vector<int> copies;  // out of the way first: a source may be one of the targets
    for (const int fd : descriptors) copies.push_back(::fcntl(fd, F_DUPFD, 100));
    for (std::size_t i = 0; i < copies.size(); ++i) ::dup2(copies[i], 3 + static_cast<int>(i));
    ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
    ::setenv("LISTEN_FDS", std::to_string(descriptors.size()).c_str(), 1);
    ::setenv("LISTEN_FDNAMES", names.c_str(), 1);
    ::_exit(check() ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(InheritedSockets, ComeWithTheirNamesAndAreNotPassedOn) {
  const UniqueFd stream(::socket(AF_UNIX, SOCK_STREAM, 0));
  const UniqueFd datagram(::socket(AF_UNIX, SOCK_DGRAM, 0));
  EXPECT_TRUE(in_activated_child({stream.get(), datagram.get()}, "app:devlog", [] {
    const auto sockets = take_inheritance().sockets;
    return sockets.size() == 2 && sockets[0].name == "app" && sockets[1].name == "devlog" &&
           sockets[0].fd.get() == 3 && sockets[1].fd.get() == 4 && (::fcntl(3, F_GETFD) & FD_CLOEXEC) != 0 &&
           std::getenv("LISTEN_FDS") == nullptr;
  }));
}

TEST(InheritedSockets, LeaveOutWhatIsNoSocket) {
  const UniqueFd file(::open("/dev/null", O_RDONLY));
  const UniqueFd stream(::socket(AF_UNIX, SOCK_STREAM, 0));
  EXPECT_TRUE(in_activated_child({file.get(), stream.get()}, "odd:app", [] {
    const auto sockets = take_inheritance().sockets;
    return sockets.size() == 1 && sockets[0].name == "app" && ::fcntl(3, F_GETFD) == -1;
  }));
}

TEST(InheritedRings, ComeInPairsOfOneName) {
  const UniqueFd file(::memfd_create("one", 0));
  EXPECT_TRUE(in_activated_child({file.get(), file.get(), file.get(), file.get()},
                                 "fastlogd-ring-1:fastlogd-ring-2:fastlogd-ring-1:fastlogd-ring-3", [] {
                                   const auto inheritance = take_inheritance();
                                   return inheritance.sockets.empty() && inheritance.rings.size() == 1 &&
                                          inheritance.rings[0].name == "fastlogd-ring-1" &&
                                          inheritance.rings[0].one.get() == 3 &&
                                          inheritance.rings[0].other.get() == 5 && ::fcntl(4, F_GETFD) == -1;
                                 }));
}

TEST(InheritedSockets, AreNoneForAnotherProcess) {
  ::setenv("LISTEN_PID", "1", 1);
  ::setenv("LISTEN_FDS", "1", 1);
  EXPECT_TRUE(take_inheritance().sockets.empty());
  ::unsetenv("LISTEN_PID");
  ::unsetenv("LISTEN_FDS");
}

}  // namespace
}  // namespace fastlogd::daemon

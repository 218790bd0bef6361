#include "ctl/output.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "ctl/failure.hpp"

namespace fastlogd::ctl {
namespace {

/// The pager's command line, for sh(1); empty: none.
std::string pager_command() {
  const char* terminal = std::getenv("TERM");
  if (terminal == nullptr || std::string_view(terminal) == "dumb") return {};
  if (const char* pager = std::getenv("PAGER")) return std::string_view(pager) == "cat" ? "" : pager;
  return "command -v less >/dev/null && exec less; command -v more >/dev/null && exec more; exec cat";
}

void say_write_error() {
  std::perror("fastlogctl: writing the output");
}

[[noreturn]] void become_pager(int input, const std::string& command) {
  ::dup2(input, STDIN_FILENO);
  std::signal(SIGPIPE, SIG_DFL);
  ::setenv("LESS", "FRSXMK", 0);  // as journalctl: quit if one screen, colours, long lines chopped
  ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
  ::_exit(127);
}

}  // namespace

Terminal Terminal::of(int fd) {
  Terminal terminal;
  terminal.is_terminal = ::isatty(fd) == 1;
  if (!terminal.is_terminal) return terminal;
  const char* name = std::getenv("TERM");
  const char* no_colour = std::getenv("NO_COLOR");
  const bool refused = no_colour != nullptr && *no_colour != '\0';
  terminal.colour = name != nullptr && std::string_view(name) != "dumb" && !refused;
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) terminal.columns = size.ws_col;
  return terminal;
}

Output::~Output() {
  flush();
  if (pager_ < 0) return;
  ::close(fd_);
  while (::waitpid(pager_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void Output::start_pager() {
  if (!Terminal::of(fd_).is_terminal) return;
  const std::string command = pager_command();
  std::array<int, 2> ends{};
  if (command.empty() || ::pipe(ends.data()) != 0) return;
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[1]);
    become_pager(ends[0], command);
  }
  ::close(ends[0]);
  if (child < 0) {
    ::close(ends[1]);
    return;
  }
  std::signal(SIGINT, SIG_IGN);  // Ctrl-C belongs to the pager; leaving it closes the pipe
  pager_ = child;
  fd_ = ends[1];
}

void Output::flush() {
  std::string_view rest = buffer_;
  while (!rest.empty() && !closed_) {
    const ssize_t n = ::write(fd_, rest.data(), rest.size());
    if (n >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      pollfd ready{fd_, POLLOUT, 0};
      (void)::poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      failed_ = errno != EPIPE;
      if (failed_) say_write_error();
      closed_ = true;
    }
  }
  buffer_.clear();
}

bool flush_standard_output() {
  if (std::fflush(stdout) == 0 || errno == EPIPE) return true;
  say_write_error();
  return false;
}

bool Output::closed(bool probe) {
  if (!closed_ && probe) {
    pollfd reader{fd_, 0, 0};
    closed_ = ::poll(&reader, 1, 0) > 0 && (reader.revents & (POLLERR | POLLHUP)) != 0;
  }
  return closed_;
}

}  // namespace fastlogd::ctl

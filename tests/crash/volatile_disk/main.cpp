// volatile_disk MOUNTPOINT CONTROL_SOCKET MIB: serves one file, MOUNTPOINT/disk, through FUSE. Writes go to a volatile
// cache, fsync makes them durable; on command it writes down what a power loss would leave. A loop device on the file
// sends a file system's flushes as fsync, so an ext4 or xfs on it believes in a disk with a write cache.
//
// Everything happens in one thread: while a command is at work, or between `freeze` and `thaw`, no request of the file
// system is served. Commands are lines on the control socket, one connection at a time, each answered by one line that
// begins with "ok" or "error":
//
//   freeze N                   serve N more writes, then stop serving requests; answered when it has stopped
//   thaw                       go on serving requests
//   image PATH SEED            write a crash image
//   lie on|off                 report flushes as done and do nothing
//   fail-writes N              the next N writes fail with EIO
//   fail-flushes N             likewise; what they would have made durable is lost
//   delay-flushes MICROS       every flush takes at least so long
//   stats                      writes, flushes, unflushed writes
//
// Ends when the mount point is unmounted, or on SIGTERM.
#define FUSE_USE_VERSION 35
#include <fuse_lowlevel.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <sstream>
#include <string>

#include "crash/volatile_disk/disk.hpp"

namespace fastlogd::crash {
namespace {

constexpr fuse_ino_t kFile = 2;
constexpr const char* kFileName = "disk";
constexpr double kForEver = 3600;

Disk& disk_of(fuse_req_t request) {
  return *static_cast<Disk*>(fuse_req_userdata(request));
}

struct stat status_of(const Disk& disk, fuse_ino_t inode) {
  struct stat status{};
  status.st_ino = inode;
  status.st_mode = inode == kFile ? S_IFREG | 0600 : S_IFDIR | 0700;
  status.st_nlink = inode == kFile ? 1 : 2;
  status.st_size = inode == kFile ? static_cast<off_t>(disk.size()) : 0;
  return status;
}

void lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  if (parent != FUSE_ROOT_ID || std::strcmp(name, kFileName) != 0) {
    fuse_reply_err(request, ENOENT);
    return;
  }
  fuse_entry_param entry{};
  entry.ino = kFile;
  entry.attr = status_of(disk_of(request), kFile);
  entry.attr_timeout = entry.entry_timeout = kForEver;
  fuse_reply_entry(request, &entry);
}

void getattr(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
  const struct stat status = status_of(disk_of(request), inode);
  fuse_reply_attr(request, &status, kForEver);
}

void setattr(fuse_req_t request, fuse_ino_t inode, struct stat*, int what, fuse_file_info* info) {
  if ((what & FUSE_SET_ATTR_SIZE) != 0) {
    fuse_reply_err(request, EPERM);
  } else {
    getattr(request, inode, info);
  }
}

void open_file(fuse_req_t request, fuse_ino_t inode, fuse_file_info* info) {
  if (inode != kFile) {
    fuse_reply_err(request, EISDIR);
  } else {
    fuse_reply_open(request, info);
  }
}

void read_file(fuse_req_t request, fuse_ino_t, std::size_t bytes, off_t offset, fuse_file_info*) {
  const auto found = disk_of(request).read(static_cast<std::size_t>(offset), bytes);
  fuse_reply_buf(request, reinterpret_cast<const char*>(found.data()), found.size());
}

void write_file(fuse_req_t request, fuse_ino_t, const char* bytes, std::size_t count, off_t offset,
                fuse_file_info*) {
  const auto content = std::as_bytes(std::span(bytes, count));
  if (disk_of(request).write(static_cast<std::size_t>(offset), content)) {
    fuse_reply_write(request, count);
  } else {
    fuse_reply_err(request, EIO);
  }
}

void sync_file(fuse_req_t request, fuse_ino_t, int, fuse_file_info*) {
  fuse_reply_err(request, disk_of(request).flush() ? 0 : EIO);
}

fuse_lowlevel_ops operations() {
  fuse_lowlevel_ops table{};
  table.lookup = lookup;
  table.getattr = getattr;
  table.setattr = setattr;
  table.open = open_file;
  table.read = read_file;
  table.write = write_file;
  table.fsync = sync_file;
  return table;
}

/// The commands: see the head of this file.
class Control {
 public:
  Control(Disk& disk, const std::string& path) : disk_(disk) {
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
      errno = ENAMETOOLONG;
      return;
    }
    path.copy(address.sun_path, path.size());
    ready_ = listener_ >= 0 &&
             ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
             ::listen(listener_, 1) == 0;
  }
  [[nodiscard]] bool ready() const { return ready_; }
  [[nodiscard]] int fd() const { return peer_ >= 0 ? peer_ : listener_; }
  [[nodiscard]] bool frozen() const { return frozen_; }

  /// fd() is readable.
  void serve() {
    if (peer_ < 0) {
      peer_ = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      return;
    }
    std::array<char, 4096> buffer{};
    const ssize_t n = ::recv(peer_, buffer.data(), buffer.size(), 0);
    if (n <= 0) {
      ::close(peer_);
      peer_ = -1;
      frozen_ = false;  // whoever froze it is gone
      freeze_at_.reset();
      return;
    }
    received_.append(buffer.data(), static_cast<std::size_t>(n));
    for (std::size_t end = received_.find('\n'); end != std::string::npos; end = received_.find('\n')) {
      const std::string answer = obey(received_.substr(0, end));
      received_.erase(0, end + 1);
      if (!answer.empty()) reply(answer);
    }
    freeze_if_due();
  }

  /// After each request of the file system.
  void freeze_if_due() {
    if (!freeze_at_ || disk_.writes() < *freeze_at_) return;
    frozen_ = true;
    freeze_at_.reset();
    reply("ok");
  }

 private:
  void reply(const std::string& answer) const {
    (void)!::send(peer_, (answer + "\n").data(), answer.size() + 1, MSG_NOSIGNAL);
  }

  /// The answer; empty: it comes later.
  std::string obey(const std::string& line) {
    std::istringstream words(line);
    std::string command;
    std::string text;
    std::uint64_t number = 0;
    words >> command;
    if (command == "freeze" && words >> number) {
      freeze_at_ = disk_.writes() + number;
      return "";
    }
    if (command == "thaw") {
      frozen_ = false;
      return "ok";
    }
    if (command == "image" && words >> text >> number) {
      return disk_.crash_image(text, number) ? "ok" : std::string("error ") + std::strerror(errno);
    }
    if (command == "lie" && words >> text && (text == "on" || text == "off")) {
      disk_.lie_about_flushes(text == "on");
      return "ok";
    }
    if (command == "fail-writes" && words >> number) {
      disk_.fail_writes(number);
      return "ok";
    }
    if (command == "fail-flushes" && words >> number) {
      disk_.fail_flushes(number);
      return "ok";
    }
    if (command == "delay-flushes" && words >> number) {
      disk_.delay_flushes(std::chrono::microseconds(number));
      return "ok";
    }
    if (command != "stats") return "error unknown command: " + line;
    return "ok " + std::to_string(disk_.writes()) + " " + std::to_string(disk_.flushes()) + " " +
           std::to_string(disk_.unflushed());
  }

  Disk& disk_;
  int listener_ = -1;
  int peer_ = -1;
  bool ready_ = false;
  bool frozen_ = false;
  std::optional<std::uint64_t> freeze_at_;  ///< of Disk::writes()
  std::string received_;
};

void serve(fuse_session* session, Control& control) {
  fuse_buf buffer{};
  while (fuse_session_exited(session) == 0) {
    std::array<pollfd, 2> wait{pollfd{.fd = control.fd(), .events = POLLIN, .revents = 0},
                               pollfd{.fd = fuse_session_fd(session), .events = POLLIN, .revents = 0}};
    if (::poll(wait.data(), control.frozen() ? 1 : 2, -1) < 0 && errno != EINTR) break;
    if (wait[0].revents != 0) {
      control.serve();
    } else if (wait[1].revents != 0) {
      const int got = fuse_session_receive_buf(session, &buffer);
      if (got == -EINTR || got == -EAGAIN) continue;
      if (got <= 0) break;
      fuse_session_process_buf(session, &buffer);
      control.freeze_if_due();
    }
  }
  std::free(buffer.mem);
}

int run(char** arguments) {
  Disk disk(std::strtoull(arguments[3], nullptr, 10) << 20);
  Control control(disk, arguments[2]);
  if (!control.ready()) {
    std::perror(arguments[2]);
    return 1;
  }
  const fuse_lowlevel_ops table = operations();
  std::array<char*, 1> options{arguments[0]};
  fuse_args args = FUSE_ARGS_INIT(1, options.data());
  fuse_session* session = fuse_session_new(&args, &table, sizeof table, &disk);
  if (session == nullptr) return 1;
  if (fuse_set_signal_handlers(session) != 0 || fuse_session_mount(session, arguments[1]) != 0) return 1;
  serve(session, control);
  fuse_session_unmount(session);
  fuse_remove_signal_handlers(session);
  fuse_session_destroy(session);
  return 0;
}

}  // namespace
}  // namespace fastlogd::crash

int main(int count, char** arguments) {
  if (count != 4) {
    std::fprintf(stderr, "usage: %s MOUNTPOINT CONTROL_SOCKET MIB\n", arguments[0]);
    return 2;
  }
  return fastlogd::crash::run(arguments);
}

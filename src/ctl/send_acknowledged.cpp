#include "ctl/send_acknowledged.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <vector>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "ctl/failure.hpp"
#include "ctl/native_connection.hpp"
#include "wire/native.hpp"

namespace fastlogd::ctl {
namespace {

constexpr std::size_t kReadBytes = std::size_t{64} * 1024;
constexpr std::size_t kUnwrittenBytesMax = std::size_t{1} << 20;  // then the daemon's turn

class AcknowledgedSender {
 public:
  explicit AcknowledgedSender(const AcknowledgedSend& send)
      : send_(send), connection_(send.address, send.header.tag, send.header.host), buffer_(kReadBytes) {}

  ExitCode run() {
    bool input = !send_.text;
    if (send_.text) queue({*send_.text});
    while (input || (!settled() && connected_)) {
      const bool take_input = input && connected_ && connection_.unwritten_bytes() < kUnwrittenBytesMax;
      const bool readable = wait_for(connection_, take_input ? send_.input_fd : -1, -1);
      if (readable) input = read_lines();
      if (connected_) connected_ = connection_.write_some();
      // Also after a failed write: what was acknowledged before is still in there to be read.
      const bool open = connection_.read_some([this](const wire::NativeReply& reply) { take(reply); });
      connected_ = connected_ && open;
      if (!connected_ && input) {
        cut_off_ = true;
        input = false;
      }
    }
    return result();
  }

 private:
  [[nodiscard]] bool settled() const { return acknowledged_ >= sent_; }

  /// False: the input has ended.
  bool read_lines() {
    const ssize_t n = ::read(send_.input_fd, buffer_.data(), buffer_.size());
    if (n < 0 && errno == EINTR) return true;
    if (n < 0) throw Failure(ExitCode::usage, fmt::format("reading the input: {}", std::strerror(errno)));
    std::vector<std::string_view> lines;
    line_.append(buffer_.data(), static_cast<std::size_t>(n));
    std::string_view rest = line_;
    for (std::size_t end = 0; (end = rest.find('\n')) != std::string_view::npos;
         rest.remove_prefix(end + 1)) {
      lines.push_back(rest.substr(0, end));
    }
    if (n == 0 && !rest.empty()) {
      lines.push_back(rest);
      rest = {};
    }
    queue(lines);
    line_.erase(0, line_.size() - rest.size());
    return n > 0;
  }

  void queue(const std::vector<std::string_view>& texts) {
    for (std::size_t i = 0; i < texts.size();) {
      wire::NativeBatch batch(connection_.out(), sent_ + 1, send_.wanted);
      do {
        batch.add({.priority = send_.header.priority,
                   .sender_time_ns = realtime_ns(),
                   .procid = send_.header.pid,
                   .text = texts[i]});
        ++sent_;
        ++i;
      } while (i < texts.size() &&
               batch.fits({.sender_time_ns = 0, .procid = send_.header.pid, .text = texts[i]},
                          connection_.message_bytes_max()));
      batch.finish();
    }
  }

  void take(const wire::NativeReply& reply) {
    switch (reply.type) {
      case wire::NativeType::ack:
        acknowledged_ = send_.wanted == wire::Wanted::synced ? reply.synced : reply.stored;
        print_acknowledged();
        break;
      case wire::NativeType::refused:
        // To be stored was all that was asked for, and that it is.
        if (reply.refusal == wire::Refusal::durability_unknown && send_.wanted != wire::Wanted::synced) break;
        if (refused_ == 0) {
          first_refused_ = reply.number;
          reason_ = wire::refusal_name(reply.refusal);
        }
        refused_ += reply.last - reply.number + 1;
        break;
      case wire::NativeType::error:
        error_ = std::string(reply.text);
        break;
      default:
        break;
    }
  }

  /// Never a number whose record, or one before it, was refused.
  void print_acknowledged() {
    const std::uint64_t safe = refused_ == 0 ? acknowledged_ : std::min(acknowledged_, first_refused_ - 1);
    if (!send_.print_acks || safe <= printed_) return;
    printed_ = safe;
    const std::string line = fmt::format("{}\n", safe);
    std::string_view rest = line;
    while (!rest.empty()) {
      const ssize_t n = ::write(STDOUT_FILENO, rest.data(), rest.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw Failure(ExitCode::usage, fmt::format("standard output: {}", std::strerror(errno)));
      rest.remove_prefix(static_cast<std::size_t>(n));
    }
  }

  ExitCode result() {
    if (refused_ > 0) {
      fmt::print(stderr, "fastlogctl: {} of {} records were refused, the first is number {}: {}\n", refused_,
                 sent_, first_refused_, reason_);
    }
    if (!settled() || cut_off_) {
      fmt::print(stderr, "fastlogctl: the connection ended; acknowledged up to {} of {}{}{}\n", acknowledged_,
                 sent_, error_.empty() ? "" : ": ", error_);
    }
    return refused_ == 0 && settled() && !cut_off_ ? ExitCode::done : ExitCode::nothing_found;
  }

  const AcknowledgedSend& send_;
  NativeConnection connection_;
  std::vector<char> buffer_;
  std::string line_;
  std::uint64_t sent_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t printed_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t first_refused_ = 0;
  std::string_view reason_;
  std::string error_;
  bool connected_ = true;
  bool cut_off_ = false;  ///< the connection ended before the input
};

}  // namespace

ExitCode send_acknowledged(const AcknowledgedSend& send) {
  return AcknowledgedSender(send).run();
}

}  // namespace fastlogd::ctl

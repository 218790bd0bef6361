// A connection that speaks the native protocol, for `fastlogctl send --ack` and `fastlogctl bench`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"
#include "ctl/message_sink.hpp"
#include "wire/native_client.hpp"

namespace fastlogd::ctl {

/// Non-blocking: the caller polls fd() and calls write_some() and read_some(). Throws Failure when it can't connect, and
/// when the peer says something that is not of the protocol.
class NativeConnection {
 public:
  using OnReply = std::function<void(const wire::NativeReply&)>;

  /// Connects, and puts HELLO in front of what is written first. Streams only.
  NativeConnection(const SinkAddress& address, std::string_view identifier, std::string_view host);

  [[nodiscard]] int fd() const { return socket_.get(); }
  /// What is to be written; append to it.
  [[nodiscard]] std::string& out() { return out_; }
  [[nodiscard]] std::size_t unwritten_bytes() const { return out_.size() - written_; }
  /// Hands to the socket what it takes now. False: the peer has gone.
  [[nodiscard]] bool write_some();
  /// Takes what has arrived. False: the peer has closed.
  [[nodiscard]] bool read_some(const OnReply& on_reply);
  /// WELCOME's, or what every daemon takes.
  [[nodiscard]] std::size_t message_bytes_max() const { return message_bytes_max_; }

 private:
  std::string where_;
  UniqueFd socket_;
  std::string out_;
  std::size_t written_ = 0;
  std::string in_;
  std::size_t message_bytes_max_;
};

/// poll(2) for reading, and for writing while there is something to write. Negative `timeout_ms`: no limit. `other_fd` is
/// waited for, too, unless it is negative. Returns whether it is readable.
bool wait_for(const NativeConnection& connection, int other_fd, int timeout_ms);

}  // namespace fastlogd::ctl

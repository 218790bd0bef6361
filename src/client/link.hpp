// A client's connection to the daemon, from connect to the end of the handshake, and what the daemon says on it.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "ring/shared_memory.hpp"
#include "wire/native_client.hpp"

namespace fastlogd::client {

using Deadline = std::chrono::steady_clock::time_point;

struct LinkOptions {
  std::string path;
  std::string identifier;
  std::uint64_t ring_bytes = 0;  ///< 0: no shared memory wanted
};

/// Random; none where the system has no random numbers now.
[[nodiscard]] ClientId random_client_id();

/// One connection that has been greeted. One thread at a time, but for send_bell() and is_broken(), which any thread may
/// call that knows the link stays.
class Link {
 public:
  Link() = default;
  /// Errors: nobody listens there, no answer before the deadline, an answer that can't be.
  [[nodiscard]] static Result<Link> open(const LinkOptions& options, const ClientId& client,
                                         std::uint64_t first_number, Deadline deadline);

  [[nodiscard]] explicit operator bool() const { return static_cast<bool>(socket_); }
  /// Null capacity: the daemon gave no memory.
  [[nodiscard]] ring::SharedParts shared() const { return memory_.parts(); }
  /// The memory stays when the link is closed, and goes with this.
  [[nodiscard]] ring::SharedMemory take_memory() { return std::move(memory_); }
  [[nodiscard]] std::size_t record_bytes_max() const { return record_bytes_max_; }

  /// All of it before the deadline. False: broken, or time was over.
  [[nodiscard]] bool send(std::string_view bytes, Deadline deadline);
  /// What the socket has room for at once; 0: nothing, negative: broken.
  [[nodiscard]] std::ptrdiff_t send_some(std::string_view bytes);
  /// Until send_some() has room for something, or the deadline.
  void wait_for_room(Deadline deadline);
  /// False: the connection is broken.
  [[nodiscard]] bool send_bell();
  /// The daemon has closed its end.
  [[nodiscard]] bool is_broken() const;

  enum class Heard : std::uint8_t { reply, nothing, broken };
  /// The next message, at latest at the deadline. A reply of type error counts as broken.
  [[nodiscard]] Heard hear(wire::NativeReply& reply, Deadline deadline);

  /// Any thread that knows the link stays: it is broken from here on, for whoever sends or listens.
  void shut_down();
  /// In a forked child: lets go of what is the parent's.
  void close() { socket_.reset(); }

 private:
  [[nodiscard]] Result<> connect(const std::string& path);
  [[nodiscard]] Result<> greet(const LinkOptions& options, const ClientId& client, std::uint64_t first_number,
                               Deadline deadline);
  [[nodiscard]] Result<> take_shared(const wire::NativeReply& reply);
  [[nodiscard]] std::ptrdiff_t receive();

  UniqueFd socket_;
  ring::SharedMemory memory_;
  std::array<UniqueFd, 2> descriptors_;
  std::size_t record_bytes_max_ = 0;
  std::array<char, 1024> received_{};
  std::size_t received_bytes_ = 0;
  std::size_t heard_bytes_ = 0;  ///< of those, what the last reply took
};

}  // namespace fastlogd::client

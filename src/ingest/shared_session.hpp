// One producing thread of a client that writes into shared memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/reply_buffer.hpp"
#include "ingest/shared_intake.hpp"
#include "wire/native.hpp"

namespace fastlogd::ingest {

/// What a native session hands over when its client has got memory.
struct SharedStart {
  IntakeStart intake;
  wire::NativeDecoder decoder;
  std::string_view received;           ///< of the socket, behind SHARE; copied
  std::vector<std::string> old_names;  ///< kept rings it had before, until it has copied from them
};

/// The intake from a client's ring, and the client's socket: on it the client rings (BELL) when the daemon sleeps, asks
/// what is stored and synced, and hears it. The socket's end is the client's end: what it had committed is stored. Thread:
/// its io thread.
class SharedSession final : public SharedIntake {
 public:
  /// Takes the connection over, its place among the open connections included.
  SharedSession(IoThread& thread, ListenerPtr listener, UniqueFd fd, SharedStart start);

  void open() override;

 private:
  void answer() override;
  void all_taken() override;
  [[nodiscard]] bool is_owed() const override;
  void take_leave() override;
  void say_why(wire::NativeError error, const char* text) override;
  [[nodiscard]] std::string describe_client() override;
  void left(CloseReason reason) override;

  void watch_socket();
  void read_socket();
  void heard();
  void forget_old();

  std::vector<std::string> old_names_;
  wire::NativeDecoder decoder_;
  ReplyBuffer replies_;
  std::array<char, 512> received_{};  ///< unfinished messages of the socket
  std::size_t received_bytes_ = 0;
  std::uint64_t stored_wanted_ = 0;
};

}  // namespace fastlogd::ingest

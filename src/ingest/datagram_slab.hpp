// Memory for one recvmmsg: slots that datagrams are received in.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/limits.hpp"
#include "base/mapping.hpp"
#include "base/result.hpp"
#include "record/source.hpp"

namespace fastlogd::ingest {

/// What came beside a datagram's bytes.
struct DatagramControl {
  std::uint32_t uid = kUnknownId;
  std::uint32_t gid = kUnknownId;
  std::uint32_t pid = kUnknownId;
  std::optional<std::uint32_t> drop_total;  ///< SO_RXQ_OVFL: a UDP socket's losses up to this datagram
  unsigned descriptors_closed = 0;          ///< uninvited ones, closed by read_control
  bool truncated = false;                   ///< MSG_CTRUNC: credentials or descriptors are missing
};

/// Reads a received message's control data and closes descriptors that came with it.
[[nodiscard]] DatagramControl read_control(msghdr& message);

/// kDatagramBatch slots in one mapping; pages that no datagram has reached cost nothing. Thread: its io
/// thread.
class DatagramSlab {
 public:
  /// Slots for messages of `record_bytes_max`; one byte more, so that a trailing delimiter doesn't count.
  [[nodiscard]] static Result<std::unique_ptr<DatagramSlab>> create(std::size_t record_bytes_max);

  /// recvmmsg without blocking; every slot's lengths are reset first. Returns the number of datagrams, 0 if
  /// there is none, or -1 with errno.
  [[nodiscard]] int receive(int fd);

  [[nodiscard]] std::string_view datagram(std::size_t slot) const;
  [[nodiscard]] bool truncated(std::size_t slot) const {
    return (headers_[slot].msg_hdr.msg_flags & MSG_TRUNC) != 0;
  }
  [[nodiscard]] DatagramControl control(std::size_t slot) { return read_control(headers_[slot].msg_hdr); }
  /// What recvmsg gives for a socket whose intake has ended and whose queue is empty: nothing, from nobody.
  [[nodiscard]] bool is_end(std::size_t slot) const {
    return headers_[slot].msg_len == 0 && headers_[slot].msg_hdr.msg_controllen == 0;
  }
  [[nodiscard]] std::size_t record_bytes_max() const { return record_bytes_max_; }

 private:
  // SCM_CREDENTIALS, SO_RXQ_OVFL and some descriptors; the kernel closes what does not fit and sets
  // MSG_CTRUNC.
  static constexpr std::size_t kControlBytes = 256;
  struct alignas(cmsghdr) Control {
    std::array<std::byte, kControlBytes> bytes;
  };

  DatagramSlab(Mapping memory, std::size_t record_bytes_max, std::size_t stride);

  Mapping memory_;
  std::size_t record_bytes_max_;
  std::array<mmsghdr, limits::kDatagramBatch> headers_{};
  std::array<iovec, limits::kDatagramBatch> buffers_{};
  std::array<Control, limits::kDatagramBatch> controls_;
};

}  // namespace fastlogd::ingest

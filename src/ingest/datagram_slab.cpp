#include "ingest/datagram_slab.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

namespace fastlogd::ingest {
namespace {

constexpr std::uint32_t kOverflowId = 65534;  // a sender in another user namespace: nobody we know

std::uint32_t known_id(std::uint32_t id) {
  return id == kOverflowId ? kUnknownId : id;
}

unsigned close_descriptors(const cmsghdr* part) {
  const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  for (std::size_t i = 0; i < count; ++i) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
    ::close(fd);
  }
  return static_cast<unsigned>(count);
}

}  // namespace

DatagramControl read_control(msghdr& message) {
  DatagramControl control;
  control.truncated = (message.msg_flags & MSG_CTRUNC) != 0;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET) continue;
    if (part->cmsg_type == SCM_CREDENTIALS && part->cmsg_len >= CMSG_LEN(sizeof(ucred))) {
      ucred sender{};
      std::memcpy(&sender, CMSG_DATA(part), sizeof sender);
      control.uid = known_id(sender.uid);
      control.gid = known_id(sender.gid);
      if (sender.pid > 0) control.pid = static_cast<std::uint32_t>(sender.pid);
    } else if (part->cmsg_type == SCM_RIGHTS) {
      control.descriptors_closed += close_descriptors(part);
    } else if (part->cmsg_type == SO_RXQ_OVFL && part->cmsg_len >= CMSG_LEN(sizeof(std::uint32_t))) {
      std::uint32_t total = 0;
      std::memcpy(&total, CMSG_DATA(part), sizeof total);
      control.drop_total = total;
    }
  }
  return control;
}

Result<std::unique_ptr<DatagramSlab>> DatagramSlab::create(std::size_t record_bytes_max) {
  // An odd number of cache lines apart: slots a power of two apart would all fall into the same cache sets.
  const std::size_t stride = ((record_bytes_max + 1 + 63) & ~std::size_t{63}) + 5 * 64;
  const std::size_t bytes = stride * limits::kDatagramBatch;
  void* at =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return errno_error(fmt::format("map {} bytes for datagrams", bytes));
  return std::unique_ptr<DatagramSlab>(new DatagramSlab(Mapping(at, bytes), record_bytes_max, stride));
}

DatagramSlab::DatagramSlab(Mapping memory, std::size_t record_bytes_max, std::size_t stride)
    : memory_(std::move(memory)), record_bytes_max_(record_bytes_max) {
  for (std::size_t i = 0; i < headers_.size(); ++i) {
    buffers_[i] = iovec{.iov_base = memory_.data() + i * stride, .iov_len = record_bytes_max + 1};
    headers_[i].msg_hdr.msg_iov = &buffers_[i];
    headers_[i].msg_hdr.msg_iovlen = 1;
    headers_[i].msg_hdr.msg_control = &controls_[i];
  }
}

int DatagramSlab::receive(int fd) {
  for (mmsghdr& header : headers_) {
    header.msg_hdr.msg_controllen = sizeof(Control);  // the kernel wrote the last message's length over it
    header.msg_hdr.msg_flags = 0;
  }
  int got = 0;
  do {
    got = ::recvmmsg(fd, headers_.data(), limits::kDatagramBatch, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, nullptr);
  } while (got < 0 && errno == EINTR);
  return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : got;
}

std::string_view DatagramSlab::datagram(std::size_t slot) const {
  return {static_cast<const char*>(buffers_[slot].iov_base), headers_[slot].msg_len};
}

}  // namespace fastlogd::ingest

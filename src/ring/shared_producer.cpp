#include "ring/shared_producer.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>

namespace fastlogd::ring {

bool SharedProducer::has_space(std::size_t n) {
  read_copy_ = parts_.consumer->read.load(std::memory_order_seq_cst);
  const std::size_t bytes = frame_bytes(n);
  const std::size_t to_end = parts_.capacity - static_cast<std::size_t>(tail_ & (parts_.capacity - 1));
  const std::size_t skip = bytes <= to_end ? 0 : to_end;
  return tail_ + skip + bytes - read_copy_ <= parts_.capacity;
}

bool SharedProducer::wait_for_space(std::size_t n, std::chrono::nanoseconds timeout) {
  const std::uint32_t bell = parts_.consumer->space_bell.load(std::memory_order_seq_cst);
  parts_.producer->waiting.store(1, std::memory_order_seq_cst);
  if (!has_space(n)) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
    const timespec limit{.tv_sec = seconds.count(),
                         .tv_nsec = static_cast<long>((timeout - seconds).count())};
    // Not FUTEX_PRIVATE: the waker is another process. EAGAIN, EINTR and ETIMEDOUT all mean: look again.
    ::syscall(SYS_futex, &parts_.consumer->space_bell, FUTEX_WAIT, bell, &limit, nullptr, 0);
  }
  parts_.producer->waiting.store(0, std::memory_order_relaxed);
  return has_space(n);
}

}  // namespace fastlogd::ring

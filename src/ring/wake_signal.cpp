#include "ring/wake_signal.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

namespace fastlogd::ring {

Result<std::unique_ptr<WakeSignal>> WakeSignal::create() {
  UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return errno_error("eventfd of a wake signal");
  return std::unique_ptr<WakeSignal>(new WakeSignal(std::move(event)));
}

bool WakeSignal::wait(std::chrono::nanoseconds timeout) {
  pollfd entry{.fd = event_.get(), .events = POLLIN, .revents = 0};
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
  const timespec limit{.tv_sec = seconds.count(), .tv_nsec = static_cast<long>((timeout - seconds).count())};
  // A signal handler's EINTR counts as an early wake: the caller looks at its conditions again anyway.
  return ::ppoll(&entry, 1, timeout.count() < 0 ? nullptr : &limit, nullptr) != 0;
}

void WakeSignal::disarm() {
  armed_.store(0, std::memory_order_seq_cst);
  std::uint64_t drained = 0;
  [[maybe_unused]] const ssize_t got =
      ::read(event_.get(), &drained, sizeof drained);  // EAGAIN: nobody woke us
}

void WakeSignal::wake() {
  if (armed_.exchange(0, std::memory_order_seq_cst) == 0) return;  // another waker took it and writes
  interrupt();
}

void WakeSignal::interrupt() {
  const std::uint64_t one = 1;
  ssize_t wrote = 0;
  do {
    wrote = ::write(event_.get(), &one, sizeof one);
  } while (wrote < 0 && errno == EINTR);
  // EAGAIN: 2^64-2 unread wakes, so the sleeper's poll returns anyway.
}

}  // namespace fastlogd::ring

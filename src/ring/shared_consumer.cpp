#include "ring/shared_consumer.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

#include "base/result.hpp"

namespace fastlogd::ring {

SharedConsumer SharedConsumer::resume(const SharedParts& parts) {
  SharedConsumer consumer(parts);
  consumer.read_ = consumer.cursor_ = consumer.written_ =
      parts.consumer->read.load(std::memory_order_acquire);
  consumer.dropped_ = parts.consumer->dropped_told.load(std::memory_order_relaxed);
  consumer.attention_ = parts.consumer->attention.load(std::memory_order_relaxed) & kAttentionMask & ~1U;
  return consumer;
}

void SharedConsumer::advance(std::size_t n) {
  FASTLOGD_CHECK(n <= available() && n % 8 == 0);
  cursor_ += n;
}

void SharedConsumer::give_back(std::uint64_t position) {
  FASTLOGD_CHECK(position >= read_ && position <= cursor_);
  if (position == read_) return;
  read_ = position;
  parts_.consumer->read.store(read_, std::memory_order_seq_cst);  // meets reserve()
  if (!worth_waking() || parts_.producer->waiting.load(std::memory_order_seq_cst) == 0) return;
  parts_.producer->waiting.store(0, std::memory_order_relaxed);
  parts_.consumer->space_bell.fetch_add(1, std::memory_order_seq_cst);
  ::syscall(SYS_futex, &parts_.consumer->space_bell, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

std::uint64_t SharedConsumer::take_dropped() {
  const std::uint64_t dropped_untrusted = parts_.producer->dropped.load(std::memory_order_acquire);
  if (dropped_untrusted <= dropped_ || dropped_untrusted > kDroppedMax) return 0;
  const std::uint64_t news = dropped_untrusted - dropped_;
  dropped_ = dropped_untrusted;
  parts_.consumer->dropped_told.store(dropped_, std::memory_order_relaxed);
  return news;
}

void SharedConsumer::close() {
  closed_ = true;
  parts_.consumer->attention.store(ConsumerPage::kClosed, std::memory_order_seq_cst);
  parts_.consumer->space_bell.fetch_add(1, std::memory_order_seq_cst);
  ::syscall(SYS_futex, &parts_.consumer->space_bell, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace fastlogd::ring

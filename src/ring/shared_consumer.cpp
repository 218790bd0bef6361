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
  if (parts_.producer->waiting.load(std::memory_order_seq_cst) == 0) return;
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
  parts_.consumer->attention.store(ConsumerPage::kClosed, std::memory_order_seq_cst);
  parts_.consumer->space_bell.fetch_add(1, std::memory_order_seq_cst);
  ::syscall(SYS_futex, &parts_.consumer->space_bell, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

FrameWalk::Step FrameWalk::next() {
  accept();
  while (true) {
    if (at_ >= available_) return Step::end;
    if (at_ >= copy_.size() || copy_.size() - at_ < sizeof(FrameHeader)) return Step::end;
    FrameHeader header;
    std::memcpy(&header, copy_.data() + at_, sizeof header);
    const std::size_t left = available_ - at_;
    if (header.bytes < sizeof header || header.bytes % 8 != 0 || header.bytes > left ||
        (header.flags & ~FrameHeader::kPad) != 0) {
      return Step::broken;
    }
    if ((header.flags & FrameHeader::kPad) != 0) {
      at_ += header.bytes;
      continue;
    }
    if (header.bytes > copy_.size() - at_) {
      cut_frame_bytes_ = header.bytes;
      return Step::end;
    }
    payload_ = copy_.subspan(at_ + sizeof header, header.bytes - sizeof header);
    accepted_next_ = header.bytes;
    return Step::frame;
  }
}

}  // namespace fastlogd::ring

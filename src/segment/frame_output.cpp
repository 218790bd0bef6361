#include "segment/frame_output.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "base/limits.hpp"

namespace fastlogd::segment {

static_assert(kFrameBytesMax + limits::kPageBytes <= FrameOutput::kStagingBytes,
              "the largest frame and what a block begins with fit into the buffer");

void FrameOutput::open(PreparedSegment& segment, std::uint64_t offset) {
  segment_ = &segment;
  method_ = segment.method;
  flushed_ = offset;
  holds_next_ = method_ == WriteMethod::dax;
  failure_.reset();
  guard_ = {};  // of the segment before, if nobody closed it
  if (method_ == WriteMethod::pwrite) {
    // Zero after every flush, and so between two segments.
    if (!staging_) staging_ = std::make_unique<std::byte[]>(kStagingBytes);
    place_window(offset);
    written_to_ = offset;
    return;
  }
  base_ = reinterpret_cast<std::uintptr_t>(segment.mapping.data());
  end_ = frames_end(segment.header.segment_bytes);
  guard_ = StoreGuard({segment.mapping.data(), segment.mapping.size()});
}

void FrameOutput::close() {
  guard_ = {};
  segment_ = nullptr;
}

void FrameOutput::place_window(std::uint64_t offset) {
  base_ = reinterpret_cast<std::uintptr_t>(staging_.get()) - offset;
  end_ = offset + kStagingBytes;
  flushed_ = offset;
}

void FrameOutput::hold(std::uint64_t offset, std::uint64_t word) {
  held_at_ = offset;
  held_word_ = word;
  holds_next_ = false;
}

/// Only the buffer is ever too short; a mapping reaches to the end of the frames.
void FrameOutput::move(std::uint64_t written, std::uint64_t offset) {
  FASTLOGD_CHECK(method_ == WriteMethod::pwrite);
  write_staged(written);
  place_window(offset);
}

void FrameOutput::write_staged(std::uint64_t written) {
  const std::size_t bytes = written - flushed_;
  if (!failure_) {
    const std::uint64_t frames = frames_end(segment_->header.segment_bytes);
    const bool takes_zeros = written > written_to_ && bytes <= kSmallBatchBytes;
    const std::uint64_t to = takes_zeros ? std::min(flushed_ + kStagingBytes, frames) : written;
    auto done = files_->write_at(segment_->fd.get(), {staging_.get(), to - flushed_}, flushed_);
    if (!done) failure_ = done.error();
    written_to_ = std::max(written_to_, to);
  }
  std::memset(staging_.get(), 0, bytes);
}

void FrameOutput::persist_batch(std::uint64_t written) {
  FASTLOGD_CHECK(!holds_next_);  // bytes without a frame are never written
  persist_->write_back({at(flushed_), written - flushed_});
  persist_->fence();
  store(held_at_, held_word_);
  persist_->write_back({at(held_at_), sizeof held_word_});
  persist_->fence();
  holds_next_ = true;
}

bool FrameOutput::check_guard() {
  if (!guard_.faulted()) [[likely]]
    return true;
  if (!failure_) {
    failure_ = Error{std::make_error_code(std::errc::io_error),
                     "a store into the mapping of " + segment_->path + " was refused (SIGBUS)"};
  }
  return false;
}

bool FrameOutput::flush(std::uint64_t written) {
  if (failure_) [[unlikely]]
    return false;
  switch (method_) {
    case WriteMethod::mapping:
      break;
    case WriteMethod::pwrite:
      if (written == flushed_) return true;
      write_staged(written);
      place_window(written);
      return !failure_;
    case WriteMethod::dax:
      if (written != flushed_) persist_batch(written);
      break;
  }
  if (!check_guard()) return false;
  flushed_ = written;
  return true;
}

/// Page by page: one that can't be written must not keep the others. The first frame's commit word goes first.
void FrameOutput::withdraw(std::uint64_t from, std::uint64_t to) {
  static constexpr std::array<std::byte, limits::kPageBytes> kZeros{};
  for (std::uint64_t at = from; at < to;) {
    const std::uint64_t page_end = (at / kZeros.size() + 1) * kZeros.size();
    const auto part = std::span(kZeros).first(std::min(page_end, to) - at);
    (void)files_->write_at(segment_->fd.get(), part, at);
    at += part.size();
  }
}

}  // namespace fastlogd::segment

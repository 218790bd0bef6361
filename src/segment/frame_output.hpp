// Where a writer's frames go: the one place that knows by what means bytes reach an active segment.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/file_system.hpp"
#include "base/persist.hpp"
#include "base/result.hpp"
#include "base/store_guard.hpp"
#include "segment/segment_file.hpp"

namespace fastlogd::segment {

// clang-format off
/// Memory for a stretch of the segment, the window, and what is done with it once per batch. One thread.
///
///     segment   |----- flushed -----|=== this batch ===|.......... zero ..........|
///                                   ^ flushed_         ^ the writer's offset      ^ end()
///
/// A batch is what is written between two calls of flush(). By method:
///   mapping   the window is the whole segment. flush() only asks whether a store has faulted.
///   pwrite    the window is a buffer of kStagingBytes that begins at flushed_. flush() writes the batch with one
///             pwrite and zeroes the buffer; a batch that outgrows the buffer is written in pieces. A small batch that
///             goes past written_to_ takes the zeros of the buffer along: the first write to an allocated block changes
///             the file's metadata, and a sync then commits the file system's journal, several flushes of the disk instead of
///             one. So this happens once in kStagingBytes, and not with every batch.
///   dax       the window is the whole segment. The commit word of the batch's first frame is kept back: flush() writes
///             back the batch, fences, stores that word, writes it back, fences. So after a power loss a batch is there
///             whole, or the log ends before its first frame.
/// A failure (a failed pwrite, a store that faulted) is final: the writer may go on storing into the window, nothing of
/// it counts, and every further flush() says false.
// clang-format on
class FrameOutput {
 public:
  static constexpr std::size_t kStagingBytes = limits::kMiB;
  static constexpr std::size_t kSmallBatchBytes = kStagingBytes / 8;

  FrameOutput(FileSystem& files, Persist& persist) : files_(&files), persist_(&persist) {}

  /// Takes a prepared segment, to be written from `offset` on. The first one with pwrite allocates the buffer.
  void open(PreparedSegment& segment, std::uint64_t offset);
  /// Forgets the segment: its mapping is not guarded any more, and none of its memory touched. Not to be flushed.
  void close();
  [[nodiscard]] bool is_open() const { return segment_ != nullptr; }

  /// Memory of that offset. flushed <= offset < end().
  [[nodiscard]] std::byte* at(std::uint64_t offset) const {
    // base_ is where offset 0 would lie: no pointer, because a staging buffer holds only a window behind it.
    return reinterpret_cast<std::byte*>(base_ + offset);  // NOLINT(performance-no-int-to-ptr)
  }
  [[nodiscard]] std::uint64_t end() const { return end_; }
  /// Moves the window so that [offset, offset + bytes) lies in it and is zero; at most kStagingBytes. All bytes
  /// written so far lie below `written`, which is at most `offset`.
  void reach(std::uint64_t written, std::uint64_t offset, std::uint64_t bytes) {
    if (offset + bytes > end_) [[unlikely]]
      move(written, offset);
  }
  /// Stores the commit word of the frame at `offset`, last of the frame, with release.
  void commit(std::uint64_t offset, std::uint64_t word) {
    if (holds_next_) [[unlikely]]
      return hold(offset, word);
    store(offset, word);
  }

  /// Behind the segment's first frame, which ends at `written`: with dax it becomes a batch of its own. Were its commit
  /// word kept back while others are stored, a process that dies then would leave what looks like a damaged segment.
  /// A failure shows in the next flush().
  void first_frame(std::uint64_t written) {
    if (method_ == WriteMethod::dax) (void)flush(written);
  }
  /// Everything below `written` is where readers find it and, with dax, durable. False: it isn't, and never will be.
  [[nodiscard]] bool flush(std::uint64_t written);
  /// Why flush() said false.
  [[nodiscard]] const Error& failure() const { return *failure_; }
  /// After a failure: bytes of [from, to) may have reached the file though nobody was told; puts zeros there, as in
  /// space that was never used, so that neither readers nor a later start take them for anything. As far as the file
  /// still takes it.
  void withdraw(std::uint64_t from, std::uint64_t to);

 private:
  void store(std::uint64_t offset, std::uint64_t word) const {
    std::atomic_ref<std::uint64_t>(*reinterpret_cast<std::uint64_t*>(at(offset)))
        .store(word, std::memory_order_release);
  }
  void hold(std::uint64_t offset, std::uint64_t word);
  void move(std::uint64_t written, std::uint64_t offset);
  void write_staged(std::uint64_t written);
  void place_window(std::uint64_t offset);
  void persist_batch(std::uint64_t written);
  [[nodiscard]] bool check_guard();

  FileSystem* files_;
  Persist* persist_;
  PreparedSegment* segment_ = nullptr;
  std::uintptr_t base_ = 0;  ///< address of offset 0 of the segment, were all of it in memory
  std::uint64_t end_ = 0;
  bool holds_next_ = false;  ///< dax: the next commit word is the batch's first
  WriteMethod method_ = WriteMethod::mapping;
  std::uint64_t flushed_ = 0;
  std::uint64_t written_to_ = 0;  ///< pwrite: behind it the segment's blocks have never been written
  std::uint64_t held_at_ = 0;
  std::uint64_t held_word_ = 0;
  std::unique_ptr<std::byte[]> staging_;
  StoreGuard guard_;
  std::optional<Error> failure_;
};

}  // namespace fastlogd::segment

#include "segment/disk_check.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include <fmt/format.h>

#include "segment/segment_cursor.hpp"
#include "segment/segment_file.hpp"

namespace fastlogd::segment {
namespace {

constexpr std::size_t kStepBytes = limits::kMiB;

/// O_DIRECT wants memory, offset and length aligned to the disk's blocks; a page is enough for all of them.
class AlignedBuffer {
 public:
  AlignedBuffer() : memory_(new(std::align_val_t{limits::kPageBytes}) std::byte[kStepBytes]) {}
  [[nodiscard]] std::span<std::byte> first(std::size_t bytes) { return {memory_.get(), bytes}; }

 private:
  struct Free {
    void operator()(std::byte* memory) const {
      ::operator delete[](memory, std::align_val_t{limits::kPageBytes});
    }
  };
  std::unique_ptr<std::byte[], Free> memory_;
};

class SegmentCheck {
 public:
  SegmentCheck(FileSystem& files, std::string path, std::uint64_t end)
      : files_(files), path_(std::move(path)), end_(end) {}

  /// What is worth a note; `holds` is false if the disk doesn't have it in the end.
  struct Outcome {
    std::string note;
    bool holds = true;
  };

  Outcome run() {
    auto fd = files_.open(path_, O_RDWR | O_NOFOLLOW, 0);
    if (!fd) return {"can't be compared with the disk: " + fd.error().message()};
    fd_ = std::move(*fd);
    const auto synced = files_.sync_data(fd_.get());
    auto direct = files_.open(path_, O_RDONLY | O_NOFOLLOW | O_DIRECT, 0);
    if (!direct) return without_comparison(synced, direct.error());
    direct_ = std::move(*direct);
    const std::uint64_t differing = compare(true);
    if (unreadable_) return without_comparison(synced, *unreadable_);
    if (differing == 0) return {synced ? "" : synced.error().message() + "; but the disk holds all of it"};
    const auto again = files_.sync_data(fd_.get());
    const std::uint64_t left = compare(false);
    if (left == 0 && again) {
      return {fmt::format(
          "{} bytes had not reached the disk although a sync was over; they were written again", differing)};
    }
    return {fmt::format("the disk doesn't hold {} bytes that can be read now, and doesn't take them", left),
            false};
  }

 private:
  [[nodiscard]] static Outcome without_comparison(const Result<>& synced, const Error& why) {
    if (!synced) return {"may not be on disk: " + synced.error().message(), false};
    return {"was synced, but can't be compared with the disk: " + why.message()};
  }

  /// Bytes that differ, by pages. With `write`, those pages are written again.
  std::uint64_t compare(bool write) {
    std::uint64_t differing = 0;
    for (std::uint64_t at = 0; at < end_; at += kStepBytes) {
      const std::size_t bytes = std::min<std::uint64_t>(kStepBytes, end_ - at);
      const auto cached = cached_.first(bytes);
      const auto stored = stored_.first(bytes);
      const auto got = files_.read_at(fd_.get(), cached, at);
      if (!got || *got != bytes) continue;  // a bad sector, and no cache to save it from: recovery finds it
      const auto from_disk = files_.read_at(direct_.get(), stored, at);
      if (!from_disk && from_disk.error().code == std::errc::invalid_argument) {
        unreadable_ = from_disk.error();
        return 0;
      }
      if (!from_disk) std::fill(stored.begin(), stored.end(), std::byte{0});
      for (std::size_t page = 0; page < bytes; page += limits::kPageBytes) {
        if (std::memcmp(cached.data() + page, stored.data() + page, limits::kPageBytes) == 0) continue;
        differing += limits::kPageBytes;
        if (write) (void)files_.write_at(fd_.get(), cached.subspan(page, limits::kPageBytes), at + page);
      }
    }
    return differing;
  }

  FileSystem& files_;
  std::string path_;
  std::uint64_t end_;
  UniqueFd fd_;
  UniqueFd direct_;
  AlignedBuffer cached_;
  AlignedBuffer stored_;
  std::optional<Error> unreadable_;
};

}  // namespace

DiskCheck confirm_on_disk(FileSystem& files, const std::string& directory, const Uuid& boot_id) {
  DiskCheck check;
  const auto indices = list_segments(files, directory);
  if (!indices) return check;
  for (const std::uint64_t index : *indices) {
    auto cursor = SegmentCursor::open(files, directory, index, Access::pread);
    // What is no segment, or sealed, or was never used, recovery deals with.
    if (!cursor || cursor->trailer() || cursor->header().boot_id != boot_id) continue;
    const auto first = cursor->first_sequence();
    if (!first) continue;
    const std::uint64_t end =
        std::min(cursor->last_block(cursor->end_offset()) + kBlockBytes, cursor->end_offset());
    const auto outcome = SegmentCheck(files, segment_path(directory, index), end).run();
    if (!outcome.note.empty()) check.notes.push_back({segment_name(index), outcome.note, !outcome.holds});
    if (!outcome.holds && !check.unknown_from) check.unknown_from = Sequence{*first};
  }
  return check;
}

}  // namespace fastlogd::segment

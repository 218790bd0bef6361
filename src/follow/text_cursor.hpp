// The follower's place: which part of the log the text file holds, kept in a small file in the stream's
// directory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/file_system.hpp"
#include "base/result.hpp"
#include "record/log_position.hpp"
#include "record/record_view.hpp"

namespace fastlogd::follow {

/// Says: the file `inode`, first `length` bytes long, holds everything rendered before `position`, and of
/// what is rendered from there the first `skip` bytes have been written too. More than `length` bytes in the
/// file are the rendering's continuation, written after this cursor was stored.
struct TextCursor {
  LogPosition position;
  Sequence sequence;  ///< the last record before `position`, 0 if none
  std::uint64_t skip = 0;
  std::uint64_t inode = 0;
  std::uint64_t length = 0;
  std::string path;  ///< the file's name when the cursor was stored
  friend bool operator==(const TextCursor&, const TextCursor&) = default;
};

/// Two slots written in turn, each with a generation and a checksum: a write that a crash tore leaves the
/// other one. One thread. Not synced: it is exact over crashes of the process; after a power failure what is
/// in the text file is found again as far as it reached the disk.
class CursorFile {
 public:
  /// Opens or creates. A file that holds no valid slot reads as no cursor.
  [[nodiscard]] static Result<CursorFile> open(const std::string& path, FileSystem& files);

  [[nodiscard]] const std::optional<TextCursor>& cursor() const { return cursor_; }
  [[nodiscard]] Result<> save(const TextCursor& cursor);

 private:
  CursorFile(UniqueFd fd, FileSystem& files) : fd_(std::move(fd)), files_(&files) {}
  [[nodiscard]] Result<> load_slot(unsigned slot);

  UniqueFd fd_;
  FileSystem* files_;
  std::uint64_t generation_ = 0;  // of the newest valid slot
  std::optional<TextCursor> cursor_;
};

}  // namespace fastlogd::follow

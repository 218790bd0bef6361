// One segment file: its name, preparing it, opening it, sealing it. Knows nothing of the frames between.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.hpp"
#include "base/result.hpp"
#include "segment/format.hpp"
#include "segment/write_method.hpp"

namespace fastlogd::segment {

/// A LogPosition has 32 bits for a segment's index, and the one behind the last has to have a position, too.
inline constexpr std::uint64_t kSegmentIndexMax = 0xffff'fffe;

/// "<20-digit index>.flog"
[[nodiscard]] std::string segment_name(std::uint64_t index);
[[nodiscard]] std::string segment_path(const std::string& directory, std::uint64_t index);
/// Nothing: it is no segment's name. No segment has an index above kSegmentIndexMax.
[[nodiscard]] std::optional<std::uint64_t> parse_segment_name(std::string_view name);

/// What a start has set aside (`.damaged`) or copied before it cut it off (`.torn-`): no part of the log any more.
[[nodiscard]] bool is_set_aside(std::string_view name);

/// Indices of the files that bear a segment's name, ascending.
[[nodiscard]] Result<std::vector<std::uint64_t>> list_segments(FileSystem& files,
                                                               const std::string& directory);

/// A segment that is ready to be written: allocated, header on disk, frames area zero. Owns descriptor and
/// mapping. The descriptor stays open until the segment is sealed: write-back errors are reported per
/// descriptor.
struct PreparedSegment {
  FileHeader header{};
  std::string path;
  UniqueFd fd;
  WriteMethod method = WriteMethod::mapping;  ///< what is possible: dax needs MAP_SYNC
  Mapping mapping;                            ///< empty with pwrite
  bool huge_pages_asked = false;
};

struct PrepareRequest {
  std::string directory;
  Uuid log_uuid{};
  std::uint64_t index = 0;
  std::uint64_t epoch = 0;
  std::uint64_t segment_bytes = 0;
  Uuid boot_id{};
  WriteMethod method = WriteMethod::mapping;
  WriteMethod otherwise = WriteMethod::mapping;  ///< where dax is not possible
  bool huge_pages = true;                        ///< of an ordinary mapping, where there are any
};

/// Create as temporary, allocate, header, sync, rename, sync directory, map. On any error nothing stays
/// behind. A file that bears the segment's name already is left as it is: std::errc::file_exists.
/// Fails behind kSegmentIndexMax.
[[nodiscard]] Result<PreparedSegment> prepare_segment(FileSystem& files, const PrepareRequest& request);

/// What can be said of a segment file without reading its frames.
struct OpenedSegment {
  FileHeader header{};
  std::optional<FileTrailer> trailer;
  UniqueFd fd;
};

/// Opens for reading and checks header, name and trailer. An Error of std::errc::no_such_file_or_directory
/// means the file is gone; any other names what is wrong.
[[nodiscard]] Result<OpenedSegment> open_segment(FileSystem& files, const std::string& directory,
                                                 std::uint64_t index);

/// True if open_segment failed because of what lies there (no segment, a bad header, what the disk or a damaged file
/// system can't give), false if because of circumstances that may pass (too many open files, no permission).
[[nodiscard]] bool is_bad_segment(const Error& error);

/// Trailer, sync, give back what was never published, read-only. `fd` must be the one the frames were written
/// with (or any, in recovery); frames are synced first. Of a damaged segment every byte is kept.
[[nodiscard]] Result<> seal_segment(FileSystem& files, int fd, const FileHeader& header,
                                    const FileTrailer& trailer);
/// The same for a segment whose frames are on disk, by an fdatasync that began after the last of them was written.
[[nodiscard]] Result<> finish_segment(FileSystem& files, int fd, const FileHeader& header,
                                      const FileTrailer& trailer);

/// This boot, from /proc/sys/kernel/random/boot_id; zero if that can't be read.
[[nodiscard]] Uuid current_boot_id();

}  // namespace fastlogd::segment

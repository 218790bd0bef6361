// What a start does with the files it finds: nothing that is trusted is lost, nothing that is not trusted is
// served, nothing is deleted but what was never used.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file_system.hpp"
#include "base/result.hpp"
#include "record/client_numbers.hpp"
#include "record/log_position.hpp"
#include "segment/format.hpp"
#include "segment/gap.hpp"

namespace fastlogd::segment {

/// One thing that was not as a clean stop leaves it.
struct RecoveryNote {
  std::string file;
  std::string text;
  bool damage = false;  ///< something acknowledged or published may be missing
};

/// A segment that stays in the log.
struct SegmentInfo {
  std::uint64_t index = 0;
  std::uint64_t disk_bytes = 0;
  std::int64_t last_time_ns = 0;
};

struct RecoveryReport {
  std::vector<RecoveryNote> notes;
  std::vector<Gap> gaps;  ///< found now and in no GAP frame yet: the next segment must begin with them
  std::vector<SegmentInfo> segments;
  /// How far clients have got with numbers of their own. All of it is on disk: where a start could not make sure of
  /// that, it knows of none, and they send again.
  ClientNumbers clients;
  Uuid log_uuid{};
  std::uint64_t epoch = 1;  ///< of the run that begins
  std::uint64_t next_index = 1;
  std::uint64_t next_sequence = 1;
  Uuid previous_uuid{};  ///< of the newest segment; zero if there is none
  std::uint64_t previous_end_offset = 0;
  TimeOrder order;     ///< of all segments that stay
  LogPosition oldest;  ///< start of the oldest segment; of next_index if there is none
};

/// Run with the directory locked and nobody writing. `known_log` is what LOCK says. Fails only if the directory can't be
/// read, if files may not be changed, or if another log's segment stays among them; damaged content never fails it. What a
/// disk or its file system refuses (is_disk_trouble) leaves that file as it is, with a note; the report says what is trusted of it all the same,
/// readers find no more in it, and the next start tries again. Running it twice gives the same answer.
[[nodiscard]] Result<RecoveryReport> recover(FileSystem& files, const std::string& directory,
                                             const std::optional<Uuid>& known_log);

}  // namespace fastlogd::segment

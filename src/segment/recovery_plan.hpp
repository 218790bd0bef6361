// What a start would do with every file of a log's directory: decided here, by reading alone. recover() carries it
// out; `fastlogctl fsck --dry-run` shows it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file_system.hpp"
#include "base/result.hpp"
#include "segment/recovery.hpp"
#include "segment/unsealed_scan.hpp"

namespace fastlogd::segment {

enum class Fate : std::uint8_t {
  keep,          ///< sealed: its trailer is believed and nothing is written
  finish,        ///< ends in order: gets a trailer, no byte is cut
  cut,           ///< ends in a torn tail, which is copied aside and zeroed; gets a trailer
  keep_damaged,  ///< acknowledged data is damaged: every byte stays, the trailer says so
  set_aside,     ///< renamed: no part of the log any more
  remove,        ///< a temporary, or prepared and never used
};
inline constexpr std::size_t kFates = 6;

/// "keep", "finish", "cut", "keep-damaged", "set-aside", "remove".
[[nodiscard]] std::string_view fate_name(Fate fate);

/// One file and what is to become of it.
struct FilePlan {
  std::string name;
  Fate fate = Fate::keep;
  std::string why;      ///< in words; empty: as a clean stop leaves it
  std::string trouble;  ///< why the disk did not let it become that; the next start tries again
  std::uint64_t index = 0;
  std::uint64_t disk_bytes = 0;

  // Of segments that stay:
  FileHeader header{};
  OpenPayload open{};
  FileTrailer trailer{};  ///< as it is, or as it will be written
  UnsealedScan scan;      ///< of one without a trailer

  [[nodiscard]] bool stays() const { return fate != Fate::set_aside && fate != Fate::remove; }
  [[nodiscard]] bool damage() const { return fate == Fate::set_aside || fate == Fate::keep_damaged; }
};

struct RecoveryPlan {
  std::string directory;
  std::vector<FilePlan> files;  ///< segments in order, then temporaries
  std::vector<Gap> known_gaps;  ///< that frames of the log tell of already
  ClientNumbers clients;        ///< how far the clients that number their records have got
  LogPosition durable;          ///< R: everything below was acknowledged as durable
  Uuid log_uuid{};
  std::uint64_t epoch = 1;            ///< of the run that begins
  std::uint64_t next_index = 1;       ///< behind every number that was ever used
  std::uint64_t set_aside_index = 0;  ///< highest number among the files that earlier starts have set aside
  std::uint64_t told_sequence = 0;    ///< highest record that whole frames in damage at the log's end tell of
  std::string told_by;                ///< the file they lie in
};

/// Only reads. With the directory locked and nobody writing the answer holds; without, it is of the moment. Errors as
/// recover().
[[nodiscard]] Result<RecoveryPlan> plan_recovery(FileSystem& files, const std::string& directory,
                                                 const std::optional<Uuid>& known_log);

/// Which records may be missing because of what becomes of `file`, and between which receive times. An end that nobody
/// knows is 0, and so is the count then; last before first: none are missing as far as the other files tell.
[[nodiscard]] Gap affected_by(const RecoveryPlan& plan, const FilePlan& file);

/// What the run that begins has to know, if the plan is carried out: gaps, next numbers, what is noteworthy.
[[nodiscard]] RecoveryReport conclude(const RecoveryPlan& plan);

}  // namespace fastlogd::segment

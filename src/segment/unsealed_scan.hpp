// Finds out how much of an unsealed segment can be trusted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file_system.hpp"
#include "base/result.hpp"
#include "segment/payloads.hpp"
#include "segment/segment_cursor.hpp"

namespace fastlogd::segment {

/// Follows the NUMBERS frames of one segment: of which clients its records are, and how far those have got.
class NumbersScan {
 public:
  void take(const FrameView& frame);
  /// The segment has come to its end.
  void finish() { end_run(); }
  [[nodiscard]] const ClientNumbers& clients() const { return clients_; }
  /// All that the writer knew of earlier segments has been said again: nothing that matters lies before.
  [[nodiscard]] bool complete() const { return complete_; }
  /// No record has come since: a clean stop ends with it.
  [[nodiscard]] bool said_last() const { return said_last_; }

 private:
  void end_run() { clients_.note(run_.client, run_.first - 1); }

  ClientNumbers clients_;
  Numbering run_{.first = 1};  ///< whose records follow, and the number of the next one
  bool complete_ = false;
  bool said_last_ = false;
};

struct UnsealedScan {
  bool unused =
      false;  ///< no OPEN was published: zeros behind it in the first MiB, no valid block behind that
  bool no_open = false;  ///< no valid OPEN, but something is there: not a segment of ours any more
  std::uint64_t valid_end = kHeaderBytes;  ///< E: behind the last frame of the unbroken prefix
  bool complete = false;                   ///< that last frame is a SEAL
  LogPosition durable;                     ///< R: highest durable position any CHECKPOINT or OPEN tells of
  std::uint64_t first_sequence = 1;
  std::uint64_t last_sequence = 0;
  std::uint64_t told_sequence = 0;  ///< highest record that a frame behind the prefix tells of; 0: none does
  std::int64_t told_time_ns = 0;    ///< and when that was
  std::uint64_t record_count = 0;
  std::int64_t time_min_ns = 0;
  std::int64_t time_max_ns = 0;
  OpenPayload open{};
  std::int64_t last_frame_time_ns = 0;
  std::int64_t open_time_ns = 0;  ///< of the OPEN frame: no record is older
  std::uint64_t last_source_offset = 0;
  std::uint64_t last_index_offset = 0;
  std::vector<Gap> gaps;  ///< numbered ones among its frames
  NumbersScan numbers;
  std::uint64_t torn_bytes = 0;  ///< from valid_end to the last byte that is not zero

  [[nodiscard]] FileTrailer trailer(const Uuid& segment_uuid, TrailerState state,
                                    std::uint64_t ordered_since) const;
};

/// What the frames that begin the blocks behind `from` tell, though nobody may read what lies between: the number
/// of the last record before the last of them (0: none is valid), and how far the log was durable.
struct BlocksBehind {
  std::uint64_t blocks = 0;  ///< how many begin with a valid CHECKPOINT
  std::uint64_t told_sequence = 0;
  std::int64_t told_time_ns = 0;
  LogPosition durable;
};
[[nodiscard]] BlocksBehind look_behind(SegmentCursor& cursor, std::uint64_t from);

/// Reads through pread: a bad sector ends the valid part, it doesn't kill. `cursor` stands anywhere. `next`: the OPEN of the
/// segment behind, if there is one; what it says doesn't count (told_end.hpp) is torn.
[[nodiscard]] UnsealedScan scan_unsealed(FileSystem& files, SegmentCursor& cursor,
                                         const std::optional<OpenPayload>& next = std::nullopt);

}  // namespace fastlogd::segment

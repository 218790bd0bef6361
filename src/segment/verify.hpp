// Proves a log, or says what is wrong with it and where.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/file_system.hpp"
#include "base/result.hpp"
#include "segment/gap.hpp"

namespace fastlogd::segment {

struct Finding {
  enum class Kind : std::uint8_t {
    damage,           ///< bytes are not what was written
    unaccounted_gap,  ///< sequence numbers jump and no GAP frame says why
    note,             ///< worth knowing, not wrong
  };
  Kind kind = Kind::note;
  std::string file;
  std::uint64_t offset = 0;
  std::string text;
};

struct VerifyReport {
  std::uint64_t segments = 0;
  std::uint64_t frames = 0;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;          ///< file bytes read
  std::uint64_t reported_lost = 0;  ///< records that GAP frames account for
  std::uint64_t gaps = 0;           ///< GAP frames
  std::uint64_t first_sequence = 0;
  std::uint64_t last_sequence = 0;
  std::vector<Finding> findings;

  [[nodiscard]] bool damaged() const;
  [[nodiscard]] bool has_unaccounted_gap() const;
};

/// Called now and then with bytes done and bytes in all.
using VerifyProgress = std::function<void(std::uint64_t done, std::uint64_t all)>;

/// Every checksum, every padding and unused byte, every sequence number, the chain of segments. Reads with
/// pread. Behind a running daemon the active segment is checked up to the committed position.
[[nodiscard]] Result<VerifyReport> verify_directory(const std::string& directory,
                                                    const VerifyProgress& progress,
                                                    FileSystem& files = posix_file_system());

}  // namespace fastlogd::segment

// Where a segment ended that took no more stores. What was stored there last could be taken back or not: its frames may still
// be valid, and the same records stand in the next segment.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/file_system.hpp"
#include "base/result.hpp"
#include "segment/format.hpp"
#include "segment/payloads.hpp"

namespace fastlogd::segment {

/// Of opening a segment: the file is gone, or is none. Other errors may pass.
[[nodiscard]] bool is_no_segment(const Error& error);

/// The OPEN of the first of `indices` (ascending) behind `index` that is in use; nothing if there is none. Fails where one
/// can't be asked now (no descriptor is free, say), which must not be taken for an answer.
[[nodiscard]] Result<std::optional<OpenPayload>> open_behind(FileSystem& files, const std::string& directory,
                                                             std::span<const std::uint64_t> indices,
                                                             std::uint64_t index);

/// Where a segment without a trailer ended by `next`, the OPEN behind it, if that is of reason `failed`. kHeaderBytes: not even
/// its own OPEN, `own`, was stored, and nothing in it counts. Nothing: `next` doesn't say.
[[nodiscard]] std::optional<std::uint64_t> told_end(const FileHeader& header,
                                                    const std::optional<OpenPayload>& own,
                                                    const OpenPayload& next);

/// The same, by the files. Fails as open_behind() does.
[[nodiscard]] Result<std::optional<std::uint64_t>> find_told_end(FileSystem& files,
                                                                 const std::string& directory,
                                                                 std::span<const std::uint64_t> indices,
                                                                 const FileHeader& header);

}  // namespace fastlogd::segment

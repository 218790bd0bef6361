// How frames get into an active segment.
#pragma once

#include <cstdint>
#include <string_view>

namespace fastlogd::segment {

/// | method  | a record is stored by            | readers see a batch         | what makes it durable          |
/// |---------|----------------------------------|-----------------------------|--------------------------------|
/// | mapping | a store into the shared mapping  | at once                     | fdatasync                      |
/// | pwrite  | a store into a buffer            | after pwrite(2) of a batch  | fdatasync                      |
/// | dax     | a store into a MAP_SYNC mapping  | after write-back and fence  | write-back and fence, per batch|
enum class WriteMethod : std::uint8_t { mapping, pwrite, dax };

[[nodiscard]] constexpr std::string_view name_of(WriteMethod method) {
  switch (method) {
    case WriteMethod::pwrite:
      return "pwrite";
    case WriteMethod::dax:
      return "dax";
    case WriteMethod::mapping:
      break;
  }
  return "mapping";
}

}  // namespace fastlogd::segment

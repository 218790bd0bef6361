// The bytes in src/segment/FORMAT.md are the bytes that are written.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "segment/segment_writer.hpp"

namespace fastlogd::segment {
namespace {

constexpr std::int64_t kTime = 1'700'000'000'000'000'000;

Uuid counting_from(std::uint8_t first) {
  Uuid uuid{};
  for (auto& byte : uuid) byte = first++;
  return uuid;
}

std::vector<std::byte> example() {
  PreparedSegment segment;
  segment.header = {.segment_bytes = limits::kMiB,
                    .log_uuid = counting_from(0),
                    .segment_uuid = counting_from(16),
                    .index = 1,
                    .epoch = 1,
                    .created_ns = kTime,
                    .created_monotonic_ns = 5,
                    .boot_id = counting_from(32)};
  segment.mapping = posix_file_system()
                        .map(-1, 0, limits::kMiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS)
                        .value();
  SegmentWriter writer;
  writer.start(segment,
               {.first_sequence = 1,
                .previous_uuid = {},
                .previous_end_offset = 0,
                .previous_last_sequence = 0,
                .durable_position = LogPosition::of(1, 0).value,
                .epoch = 1,
                .reason = OpenReason::start},
               kTime);
  const auto source = writer.append_source({.transport = Transport::unix_stream,
                                            .uid = 1000,
                                            .gid = 1000,
                                            .pid = 42,
                                            .host = "h",
                                            .identifier = "app"});
  EXPECT_TRUE(writer.append({.sequence = Sequence{1},
                             .receive_time_ns = kTime + 7,
                             .source = source.value(),
                             .priority = Priority{14},
                             .flags = {},
                             .extension = {},
                             .slice = "hello"}));
  writer.seal(0);
  std::vector<std::byte> bytes(segment.mapping.bytes().begin(), segment.mapping.bytes().end());
  const Page header = encode(segment.header);
  const Page trailer = encode(writer.trailer());
  std::copy(header.begin(), header.end(), bytes.begin());
  std::copy(trailer.begin(), trailer.end(), bytes.end() - kTrailerBytes);
  return bytes;
}

/// Looked for from this program upwards.
std::filesystem::path document() {
  auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  while (folder.has_relative_path() && !std::filesystem::exists(folder / "src/segment/FORMAT.md")) {
    folder = folder.parent_path();
  }
  return folder / "src/segment/FORMAT.md";
}

TEST(FormatDocument, ShowsTheBytesThatTheWriterWrites) {
  const auto bytes = example();
  std::vector<bool> shown(bytes.size());
  std::ifstream text(document());
  ASSERT_TRUE(text) << document();
  std::string line;
  while (std::getline(text, line)) {  // "    00001000  60 00 ..."
    if (line.size() < 16 || line.compare(0, 4, "    ") != 0 || line.compare(12, 2, "  ") != 0) continue;
    char* end = nullptr;
    std::size_t at = std::strtoull(line.c_str() + 4, &end, 16);
    if (end != line.c_str() + 12) continue;
    std::istringstream values(line.substr(14));
    for (std::string value; values >> value; ++at) {
      ASSERT_LT(at, bytes.size());
      ASSERT_EQ(std::stoul(value, nullptr, 16), std::to_integer<unsigned long>(bytes[at])) << "at " << at;
      shown[at] = true;
    }
  }
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    ASSERT_TRUE(shown[at] || bytes[at] == std::byte{0}) << "byte " << at << " is not in the document";
  }
}

}  // namespace
}  // namespace fastlogd::segment

#include "segment/format.hpp"

#include <cstring>

#include <gtest/gtest.h>

#include "segment/frame_scan.hpp"
#include "segment/payloads.hpp"

namespace fastlogd::segment {
namespace {

FileHeader some_header() {
  FileHeader header{};
  header.segment_bytes = limits::kMiB;
  header.log_uuid = random_uuid();
  header.segment_uuid = random_uuid();
  header.index = 7;
  header.epoch = 3;
  header.created_ns = 1;
  return header;
}

FileTrailer some_trailer(const FileHeader& header) {
  FileTrailer trailer{};
  trailer.segment_uuid = header.segment_uuid;
  trailer.state = TrailerState::sealed;
  trailer.end_offset = 8192;
  trailer.first_sequence = 1;
  trailer.last_sequence = 4;
  trailer.record_count = 4;
  trailer.last_source_offset = 4160;
  return trailer;
}

std::byte flipped(std::byte byte, unsigned bit) {
  return byte ^ static_cast<std::byte>(1U << bit);
}

TEST(Format, ReadsBackTheHeaderItWrote) {
  const FileHeader header = some_header();
  const HeaderCheck check = decode_header(encode(header), limits::kMiB);
  ASSERT_TRUE(check.header.has_value()) << check.problem;
  EXPECT_EQ(check.header->index, 7U);
  EXPECT_EQ(check.header->epoch, 3U);
  EXPECT_EQ(check.header->log_uuid, header.log_uuid);
  EXPECT_EQ(check.header->segment_uuid, header.segment_uuid);
}

TEST(Format, RefusesAHeaderPageWithAnyBitFlipped) {
  Page page = encode(some_header());
  for (std::size_t at = 0; at < page.size(); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      page[at] = flipped(page[at], bit);
      ASSERT_FALSE(decode_header(page, limits::kMiB).header.has_value()) << "byte " << at << " bit " << bit;
      page[at] = flipped(page[at], bit);
    }
  }
}

TEST(Format, RefusesATrailerPageWithAnyBitFlipped) {
  const FileHeader header = some_header();
  Page page = encode(some_trailer(header));
  ASSERT_TRUE(decode_trailer(page, header).has_value());
  for (std::size_t at = 0; at < page.size(); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      page[at] = flipped(page[at], bit);
      ASSERT_FALSE(decode_trailer(page, header).has_value()) << "byte " << at << " bit " << bit;
      page[at] = flipped(page[at], bit);
    }
  }
}

TEST(Format, SaysWhyAHeaderIsRefused) {
  const FileHeader header = some_header();
  EXPECT_EQ(decode_header(encode(header), 2 * limits::kMiB).problem,
            "file has 2097152 bytes, its header says 1048576");
  const Page page = encode(header);
  EXPECT_EQ(decode_header(std::span(page).first(100), 100).problem, "shorter than a header page");
  EXPECT_EQ(decode_header(Page{}, limits::kMiB).problem, "not a fastlogd segment");
  FileHeader future = header;
  future.incompatible_flags = 2;
  EXPECT_EQ(decode_header(encode(future), limits::kMiB).problem, "needs features 0x2");
  FileHeader odd = header;
  odd.segment_bytes = limits::kMiB + 4096;
  EXPECT_EQ(decode_header(encode(odd), odd.segment_bytes).problem, "impossible size of 1052672 bytes");
}

TEST(Format, RefusesTheTrailerOfAnotherSegment) {
  const FileHeader header = some_header();
  EXPECT_FALSE(decode_trailer(encode(some_trailer(some_header())), header).has_value());
  FileTrailer far = some_trailer(header);
  far.end_offset = limits::kMiB;
  EXPECT_FALSE(decode_trailer(encode(far), header).has_value());
  FileTrailer early = some_trailer(header);
  early.end_offset = 8;
  EXPECT_FALSE(decode_trailer(encode(early), header).has_value());
}

/// One frame of 8 payload bytes as the writer would make it.
std::array<std::byte, 64> frame_at(std::uint64_t offset, std::uint32_t salt, FrameType type) {
  std::array<std::byte, 64> bytes{};
  FrameHeader header{.sequence = 5, .time_ns = 6, .source = 1, .type = type};
  header.commit = 45;  // 13 payload bytes, 3 of padding
  std::memcpy(bytes.data() + kFrameHeaderBytes, "payload bytes", 13);
  const std::uint32_t crc =
      frame_checksum(salt, offset, header, std::span(bytes).subspan(kFrameHeaderBytes, 16));
  header.commit |= std::uint64_t{crc} << 32;
  std::memcpy(bytes.data(), &header, sizeof header);
  return bytes;
}

TEST(Frame, IsValidOnlyAtItsPlaceInItsSegment) {
  alignas(8) auto bytes = frame_at(4096, 77, FrameType::data);
  FrameView frame;
  ASSERT_EQ(check_frame(bytes, 4096, 77, frame), FrameStatus::valid);
  EXPECT_EQ(frame.payload.size(), 13U);
  EXPECT_EQ(frame.end(), 4096U + 48);
  EXPECT_EQ(check_frame(bytes, 4104, 77, frame), FrameStatus::invalid) << "moved";
  EXPECT_EQ(check_frame(bytes, 4096, 78, frame), FrameStatus::invalid) << "of another segment";
}

TEST(Frame, IsInvalidWithAnyOfItsBitsFlipped) {
  alignas(8) auto bytes = frame_at(4096, 77, FrameType::data);
  FrameView frame;
  for (std::size_t at = 0; at < 48; ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      bytes[at] = flipped(bytes[at], bit);
      ASSERT_NE(check_frame(bytes, 4096, 77, frame), FrameStatus::valid) << "byte " << at << " bit " << bit;
      bytes[at] = flipped(bytes[at], bit);
    }
  }
}

TEST(Frame, NeverReachesBehindTheBytesGivenOrTheBlock) {
  alignas(8) auto bytes = frame_at(4096, 77, FrameType::data);
  FrameView frame;
  for (std::size_t n = 0; n < 48; n += 8) {
    EXPECT_EQ(check_frame(std::span(bytes).first(n), 4096, 77, frame), FrameStatus::short_bytes) << n;
  }
  EXPECT_EQ(check_frame(std::span(bytes).first(48), 4096, 77, frame), FrameStatus::valid);
  alignas(8) auto crossing = frame_at(kBlockBytes - 40, 77, FrameType::data);
  EXPECT_EQ(check_frame(crossing, kBlockBytes - 40, 77, frame), FrameStatus::invalid);
}

TEST(Frame, OfAnUnknownTypeIsSkippedOnlyWithTheSkippableBit) {
  FrameView frame;
  alignas(8) auto strange = frame_at(4096, 77, FrameType{99});
  EXPECT_EQ(check_frame(strange, 4096, 77, frame), FrameStatus::unknown);
  alignas(8) auto skippable = frame_at(4096, 77, FrameType{kSkippableTypeBit | 9});
  EXPECT_EQ(check_frame(skippable, 4096, 77, frame), FrameStatus::valid);
}

TEST(Payloads, RefuseWrongSizesAndImpossibleValues) {
  std::array<std::byte, 80> bytes{};
  EXPECT_FALSE(decode_open(std::span(bytes).first(63)).has_value());
  EXPECT_FALSE(decode_open(std::span(bytes).first(64)).has_value()) << "no record has number 0";
  EXPECT_FALSE(decode_checkpoint(std::span(bytes).first(25)).has_value());
  EXPECT_FALSE(decode_seal(std::span(bytes).first(31)).has_value());
  EXPECT_FALSE(decode_source(std::span(bytes).first(23)).has_value());
  EXPECT_FALSE(decode_source(std::span(bytes).first(25)).has_value()) << "a byte that belongs to no string";
  const GapPayload backwards = encode_gap({.first = Sequence{9}, .last = Sequence{8}});
  EXPECT_FALSE(decode_gap(std::as_bytes(std::span(&backwards, 1))).has_value());
  GapPayload unheard = encode_gap({});
  unheard.reason = 256;
  EXPECT_FALSE(decode_gap(std::as_bytes(std::span(&unheard, 1))).has_value());
}

TEST(Payloads, TellOfGapsForReasonsThatALaterVersionKnows) {
  GapPayload later = encode_gap({.first = Sequence{8}, .last = Sequence{9}});
  later.reason = 200;
  const auto gap = decode_gap(std::as_bytes(std::span(&later, 1)));
  ASSERT_TRUE(gap.has_value());
  EXPECT_EQ(gap->first.value, 8U);
  EXPECT_EQ(encode_gap(*gap).reason, 200U);
}

}  // namespace
}  // namespace fastlogd::segment

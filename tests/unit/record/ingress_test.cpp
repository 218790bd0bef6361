#include "record/ingress.hpp"

#include <cstring>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace fastlogd::ingress {
namespace {

SourceView source(std::string_view host, std::string_view identifier) {
  SourceView view;
  view.transport = Transport::unix_datagram;
  view.uid = 1000;
  view.gid = 1001;
  view.pid = 42;
  view.host = host;
  view.identifier = identifier;
  return view;
}

/// Ring entries start at multiples of 8.
std::vector<std::uint64_t> words_for(std::size_t bytes) {
  return std::vector<std::uint64_t>((bytes + 7) / 8, ~0ULL);
}

TEST(SourceDefinition, ComesBackAsWritten) {
  for (const auto& [host, identifier] :
       {std::pair<std::string, std::string>{"", ""},
        {"web1", "sshd"},
        {std::string(limits::kHostBytesMax, 'h'), std::string(limits::kIdentifierBytesMax, 'i')}}) {
    const SourceView view = source(host, identifier);
    std::vector<std::uint64_t> words = words_for(source_definition_bytes(view) + 64);
    write_source_definition(7, view, reinterpret_cast<std::byte*>(words.data()));
    const EntryView entry(std::as_bytes(std::span(words)));
    EXPECT_EQ(entry.header().kind, EntryKind::source_definition);
    EXPECT_EQ(entry.entry_bytes(), source_definition_bytes(view));
    EXPECT_EQ(entry.source_slot(), 7u);
    EXPECT_EQ(entry.source(), view);
    EXPECT_EQ(words[entry.entry_bytes() / 8], ~0ULL) << "wrote behind its entry";
  }
}

TEST(SourceDefinition, DiesOverItsLimits) {
  const std::string host(limits::kHostBytesMax + 1, 'h');
  const SourceView view = source(host, "");
  std::vector<std::uint64_t> words = words_for(source_definition_bytes(view));
  EXPECT_DEATH(write_source_definition(7, view, reinterpret_cast<std::byte*>(words.data())),
               "broken invariant");
}

TEST(Block, KeepsBytesAndDescriptorsApart) {
  const std::string payload = "one\ntwo\nthr";
  std::vector<std::uint64_t> words = words_for(block_bytes(payload.size(), 2));
  auto* const bytes = reinterpret_cast<std::byte*>(words.data());
  EntryHeader header;
  header.entry_bytes = static_cast<std::uint32_t>(block_bytes(payload.size(), 2));
  header.payload_bytes = static_cast<std::uint32_t>(payload.size());
  header.descriptor_count = 2;
  header.receive_time_ns = 99;
  std::memcpy(bytes, &header, sizeof header);
  std::memcpy(bytes + sizeof header, payload.data(), payload.size());
  Descriptor descriptors[2];
  descriptors[0].slice_bytes = 3;
  descriptors[1].slice_offset = 4;
  descriptors[1].slice_bytes = 3;
  std::memcpy(bytes + sizeof header + align8(payload.size()), descriptors, sizeof descriptors);

  const EntryView entry(std::as_bytes(std::span(words)));
  ASSERT_EQ(entry.descriptors().size(), 2u);
  const Descriptor& second = entry.descriptors()[1];
  EXPECT_EQ(std::string_view(entry.payload() + second.slice_offset, second.slice_bytes), "two");
  EXPECT_EQ(entry.header().receive_time_ns, 99);
}

TEST(Block, MaySayWhoseNumbersItsMessagesHave) {
  const Numbering numbering{.client = {.id = {1, 2, 3}, .uid = 7}, .first = 99};
  std::vector<std::uint64_t> words = words_for(block_bytes(5, 1) + sizeof numbering);
  auto* const bytes = reinterpret_cast<std::byte*>(words.data());
  EntryHeader header{.entry_bytes = static_cast<std::uint32_t>(block_bytes(5, 1) + sizeof numbering),
                     .kind = EntryKind::numbered_block,
                     .payload_bytes = 5,
                     .descriptor_count = 1};
  std::memcpy(bytes, &header, sizeof header);
  std::memcpy(bytes + block_bytes(5, 1), &numbering, sizeof numbering);
  const EntryView numbered(std::as_bytes(std::span(words)));
  EXPECT_TRUE(numbered.is_block());
  EXPECT_EQ(numbered.descriptors().size(), 1u);
  EXPECT_EQ(numbered.numbering(), numbering);

  EXPECT_FALSE(numbered.is_lent());

  header.kind = EntryKind::lent_block;
  std::memcpy(bytes, &header, sizeof header);
  const EntryView lent(std::as_bytes(std::span(words)));
  EXPECT_TRUE(lent.is_block() && lent.is_lent());
  EXPECT_EQ(lent.numbering(), numbering);

  header.kind = EntryKind::block;
  std::memcpy(bytes, &header, sizeof header);
  EXPECT_DEATH(EntryView{std::as_bytes(std::span(words))}, "broken invariant") << "32 bytes too long";
  header.entry_bytes = static_cast<std::uint32_t>(block_bytes(5, 1));
  std::memcpy(bytes, &header, sizeof header);
  EXPECT_TRUE(EntryView(std::as_bytes(std::span(words))).numbering().client.is_none());
}

TEST(EntryView, DiesOnASizeThatDoesNotAddUp) {
  std::vector<std::uint64_t> words = words_for(block_bytes(16, 1));
  EntryHeader header;
  header.entry_bytes = static_cast<std::uint32_t>(block_bytes(16, 1));
  header.payload_bytes = 24;
  header.descriptor_count = 1;
  std::memcpy(words.data(), &header, sizeof header);
  EXPECT_DEATH(EntryView{std::as_bytes(std::span(words))}, "broken invariant");
}

TEST(LossReasons, AllHaveTheirOwnName) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kLossReasons; ++i) names.insert(loss_reason_name(static_cast<LossReason>(i)));
  EXPECT_EQ(names.size(), kLossReasons);
  EXPECT_FALSE(names.contains("unknown"));
}

}  // namespace
}  // namespace fastlogd::ingress

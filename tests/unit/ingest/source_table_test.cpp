#include "ingest/source_table.hpp"

#include <map>
#include <random>
#include <string_view>

#include <gtest/gtest.h>

namespace fastlogd::ingest {
namespace {

SourceView named(std::string_view identifier, std::uint32_t pid = 1) {
  return {.transport = Transport::unix_stream,
          .uid = 2,
          .gid = 3,
          .pid = pid,
          .host = "host",
          .identifier = identifier};
}

TEST(SourceTable, FindsWhatItHasDefined) {
  SourceTable table(4);
  EXPECT_FALSE(table.find(named("a")));
  const auto slot = table.define(named("a"));
  ASSERT_TRUE(slot);
  EXPECT_EQ(table.find(named("a")), slot);
  EXPECT_EQ(table.view(*slot), named("a"));
  EXPECT_TRUE(table.holds(*slot, named("a")));
  EXPECT_FALSE(table.holds(*slot, named("b")));
  EXPECT_FALSE(table.holds(*slot + 1, named("a")));
}

TEST(SourceTable, TellsEveryPartApart) {
  SourceTable table(16);
  SourceView source = named("a");
  ASSERT_TRUE(table.define(source));
  for (const auto change :
       {+[](SourceView& s) { s.transport = Transport::tcp; }, +[](SourceView& s) { s.uid = 9; },
        +[](SourceView& s) { s.gid = 9; }, +[](SourceView& s) { s.pid = 9; },
        +[](SourceView& s) { s.host = "hosta", s.identifier = ""; },
        +[](SourceView& s) { s.host = "hos", s.identifier = "ta"; }}) {
    SourceView other = named("a");
    change(other);
    EXPECT_FALSE(table.find(other));
  }
}

TEST(SourceTable, RedefinesTheSlotThatWasUsedLongestAgo) {
  SourceTable table(3);
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(table.define(named(name)));
  table.begin_block();
  table.use(*table.find(named("a")));
  table.begin_block();
  const auto b = table.find(named("b"));
  EXPECT_EQ(table.define(named("d")), b);
  EXPECT_FALSE(table.find(named("b")));
  EXPECT_TRUE(table.find(named("a")));
  EXPECT_TRUE(table.find(named("c")));
}

TEST(SourceTable, NeverRedefinesASlotOfTheCurrentBlock) {
  SourceTable table(2);
  ASSERT_TRUE(table.define(named("a")));
  ASSERT_TRUE(table.define(named("b")));
  EXPECT_FALSE(table.define(named("c")));
  table.begin_block();
  EXPECT_TRUE(table.define(named("c")));
}

TEST(SourceTable, AgreesWithAMapOverManyRandomSources) {
  constexpr std::size_t kSlots = 64;
  SourceTable table(kSlots);
  std::map<SourceTable::Slot, std::uint32_t> pid_of;
  const std::uint64_t seed = std::random_device{}();
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20'000; ++i) {
    table.begin_block();
    const auto pid = static_cast<std::uint32_t>(random() % 100);
    const SourceView source = named("x", pid);
    auto slot = table.find(source);
    if (slot) {
      ASSERT_EQ(pid_of[*slot], pid) << "seed " << seed;
    } else {
      slot = table.define(source);
      ASSERT_TRUE(slot);
      pid_of[*slot] = pid;
    }
    table.use(*slot);
    ASSERT_TRUE(table.holds(*slot, source)) << "seed " << seed;
  }
  EXPECT_EQ(table.size(), kSlots);
  for (const auto& [slot, pid] : pid_of) EXPECT_EQ(table.find(named("x", pid)), slot) << "seed " << seed;
}

}  // namespace
}  // namespace fastlogd::ingest

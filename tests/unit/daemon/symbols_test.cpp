#include "daemon/symbols.hpp"

#include <exception>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace fastlogd::daemon {

/// Not exported: only the program's own symbol table knows it.
__attribute__((noinline, visibility("hidden"))) int function_with_a_name(int value) {
  return value * 3 + 1;
}

namespace {

template <class Function>
std::uintptr_t address_of(Function* function) {
  return reinterpret_cast<std::uintptr_t>(function);
}

TEST(Symbols, KnowThisProgramsFunctionsAnywhereInThem) {
  const Symbols symbols;
  const std::string name = "fastlogd::daemon::function_with_a_name(int)";
  EXPECT_EQ(symbols.name(address_of(&function_with_a_name)), name);
  EXPECT_EQ(symbols.name(address_of(&function_with_a_name) + 1), name);
  EXPECT_NE(symbols.name(address_of(&function_with_a_name) - 1), name);
  EXPECT_EQ(function_with_a_name(1), 4);
}

TEST(Symbols, KnowWhatLibrariesExport) {
  void* const stream = reinterpret_cast<void*>(&std::terminate);
  EXPECT_EQ(Symbols().name(reinterpret_cast<std::uintptr_t>(stream)), "std::terminate()");
}

TEST(Symbols, KnowNothingOfDataAndOfFilesThatAreNoPrograms) {
  static int data = 0;
  EXPECT_EQ(Symbols().name(address_of(&data)), std::nullopt);
  EXPECT_EQ(Symbols().name(0), std::nullopt);
  for (const char* path : {"/proc/self/cmdline", "/dev/null", "/nowhere"}) {
    EXPECT_EQ(Symbols(path).name(address_of(&function_with_a_name)), std::nullopt) << path;
  }
}

TEST(Symbols, AreAnsweredALineEach) {
  const std::string address = fmt::format("{:#x}", address_of(&function_with_a_name));
  EXPECT_EQ(answer_symbols(Symbols(), address + "+0x0+nonsense+12+0xzz++" + address),
            fmt::format("{0}\tfastlogd::daemon::function_with_a_name(int)\n{0}\tfastlogd::daemon::function_"
                        "with_a_name(int)\n",
                        address));
  EXPECT_EQ(answer_symbols(Symbols(), ""), "");
}

}  // namespace
}  // namespace fastlogd::daemon

// Names of functions of the running daemon by their addresses, for readers of profiles that ask for them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fastlogd::daemon {

/// The program's own functions by its symbol table (elf(5)), those of libraries by what they export (dladdr(3)). Costs a
/// read of the program's file: made for one request and thrown away. A stripped program has only exported names.
class Symbols {
 public:
  /// What the file at `path` says, if it is this program's own: of another one the addresses mean nothing.
  explicit Symbols(const std::string& path = "/proc/self/exe");

  /// Demangled. Nothing for an address that belongs to no known function.
  [[nodiscard]] std::optional<std::string> name(std::uintptr_t address) const;

 private:
  struct Function {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    std::uint32_t name = 0;  ///< offset in names_
  };
  void read(std::string_view file);

  std::uintptr_t base_ = 0;  ///< where the program was loaded
  std::vector<Function> functions_;
  std::string names_;
};

/// Answers "0x1234+0x5678" with a line "0x1234<TAB>name" for each address that has one, as gperftools' servers do. What is
/// no address is passed over.
[[nodiscard]] std::string answer_symbols(const Symbols& symbols, std::string_view addresses);

}  // namespace fastlogd::daemon

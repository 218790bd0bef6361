#include "daemon/symbols.hpp"

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>

#include <fmt/format.h>

namespace fastlogd::daemon {
namespace {

/// The program itself is what dl_iterate_phdr(3) names first.
std::uintptr_t load_address() {
  std::uintptr_t base = 0;
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* to) {
        *static_cast<std::uintptr_t*>(to) = info->dlpi_addr;
        return 1;
      },
      &base);
  return base;
}

/// The `index`th structure of a table at `offset`; nothing where the file ends before.
template <class Structure>
std::optional<Structure> at(std::string_view file, std::uint64_t offset, std::uint64_t index) {
  Structure value;
  const std::uint64_t most = file.size() / sizeof value;
  if (index >= most || offset > file.size() || file.size() - offset < (index + 1) * sizeof value)
    return std::nullopt;
  std::memcpy(&value, file.data() + offset + index * sizeof value, sizeof value);
  return value;
}

std::string_view section_bytes(std::string_view file, const Elf64_Shdr& section) {
  if (section.sh_offset > file.size() || section.sh_size > file.size() - section.sh_offset) return {};
  return file.substr(section.sh_offset, section.sh_size);
}

std::string demangled(const char* name) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(name, nullptr, nullptr, &status),
                                                    &std::free);
  return status == 0 ? std::string(text.get()) : std::string(name);
}

}  // namespace

Symbols::Symbols(const std::string& path) : base_(load_address()) {
  std::ifstream in(path, std::ios::binary);
  read(std::string(std::istreambuf_iterator<char>(in), {}));
  std::sort(functions_.begin(), functions_.end(),
            [](const Function& a, const Function& b) { return a.begin < b.begin; });
}

void Symbols::read(std::string_view file) {
  const auto header = at<Elf64_Ehdr>(file, 0, 0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
      header->e_ident[EI_CLASS] != ELFCLASS64)
    return;
  for (unsigned i = 0; i < header->e_shnum; ++i) {
    const auto section = at<Elf64_Shdr>(file, header->e_shoff, i);
    if (!section || section->sh_type != SHT_SYMTAB) continue;
    const auto strings = at<Elf64_Shdr>(file, header->e_shoff, section->sh_link);
    if (!strings) return;
    names_ = section_bytes(file, *strings);
    for (std::uint64_t number = 0; number < section->sh_size / sizeof(Elf64_Sym); ++number) {
      const auto symbol = at<Elf64_Sym>(file, section->sh_offset, number);
      if (!symbol) return;
      const bool is_function = ELF64_ST_TYPE(symbol->st_info) == STT_FUNC && symbol->st_size != 0;
      if (!is_function || symbol->st_name >= names_.size()) continue;
      functions_.push_back({symbol->st_value, symbol->st_value + symbol->st_size, symbol->st_name});
    }
    return;
  }
}

std::optional<std::string> Symbols::name(std::uintptr_t address) const {
  const std::uintptr_t inside = address - base_;
  const auto behind =
      std::upper_bound(functions_.begin(), functions_.end(), inside,
                       [](std::uintptr_t value, const Function& function) { return value < function.begin; });
  if (behind != functions_.begin() && inside < std::prev(behind)->end) {
    return demangled(names_.c_str() + std::prev(behind)->name);
  }
  Dl_info info{};
  const auto* const place =
      reinterpret_cast<const void*>(address);  // NOLINT(performance-no-int-to-ptr): asked as a number
  if (::dladdr(place, &info) == 0 || info.dli_sname == nullptr) return std::nullopt;
  return demangled(info.dli_sname);
}

std::string answer_symbols(const Symbols& symbols, std::string_view addresses) {
  std::string answer;
  while (!addresses.empty()) {
    const std::string_view one = addresses.substr(0, addresses.find('+'));
    addresses.remove_prefix(std::min(addresses.size(), one.size() + 1));
    if (!one.starts_with("0x")) continue;
    std::uintptr_t address = 0;
    const char* const end = one.data() + one.size();
    const auto [last, error] = std::from_chars(one.data() + 2, end, address, 16);
    if (error != std::errc{} || last != end) continue;
    if (const auto name = symbols.name(address))
      fmt::format_to(std::back_inserter(answer), "{}\t{}\n", one, *name);
  }
  return answer;
}

}  // namespace fastlogd::daemon

#include "ingest/process_names.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/unique_fd.hpp"

namespace fastlogd::ingest {

std::size_t read_process_name(std::uint32_t pid, std::array<char, 16>& into) {
  std::array<char, 32> path{};
  fmt::format_to_n(path.data(), path.size() - 1, "/proc/{}/comm", pid);
  const UniqueFd file(::open(path.data(), O_RDONLY | O_CLOEXEC));
  if (!file) return 0;
  const ssize_t got = ::read(file.get(), into.data(), into.size());
  if (got <= 0) return 0;
  const auto bytes = static_cast<std::size_t>(got);
  return into[bytes - 1] == '\n' ? bytes - 1 : bytes;
}

std::string_view ProcessNames::name_of(std::uint32_t pid, std::int64_t now_ns) {
  Entry& entry = entries_[pid % kEntries];
  if (entry.pid != pid || now_ns - entry.read_ns > kKeepNanos) {
    entry.pid = pid;
    entry.read_ns = now_ns;
    entry.bytes = static_cast<std::uint8_t>(read_process_name(pid, entry.text));
  }
  return {entry.text.data(), entry.bytes};
}

}  // namespace fastlogd::ingest

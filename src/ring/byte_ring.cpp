#include "ring/byte_ring.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <utility>

#include <fmt/format.h>

#include "base/unique_fd.hpp"

namespace fastlogd::ring {
namespace {

Result<Mapping> map_padded(std::size_t capacity_bytes) {
  void* at = ::mmap(nullptr, capacity_bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (at == MAP_FAILED) return errno_error(fmt::format("map a ring of {} bytes", capacity_bytes));
  return Mapping(at, capacity_bytes);
}

/// Reserves twice the addresses, then puts the same file into both halves.
Result<Mapping> map_doubled(std::size_t capacity_bytes) {
  const UniqueFd file(::memfd_create("fastlogd-ring", MFD_CLOEXEC));
  if (!file) return errno_error("memfd_create for a ring");
  if (::ftruncate(file.get(), static_cast<off_t>(capacity_bytes)) != 0) {
    return errno_error(fmt::format("size a ring of {} bytes", capacity_bytes));
  }
  void* addresses = ::mmap(nullptr, 2 * capacity_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (addresses == MAP_FAILED) return errno_error("reserve addresses for a ring");
  Mapping whole(addresses, 2 * capacity_bytes);
  for (const std::size_t offset : {std::size_t{0}, capacity_bytes}) {
    const void* half = ::mmap(whole.data() + offset, capacity_bytes, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_FIXED | MAP_POPULATE, file.get(), 0);
    if (half == MAP_FAILED) return errno_error(fmt::format("map a ring of {} bytes", capacity_bytes));
  }
  return whole;
}

}  // namespace

Result<std::unique_ptr<ByteRing>> ByteRing::create(std::size_t capacity_bytes, Layout layout) {
  const auto page_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  if (!std::has_single_bit(capacity_bytes) || capacity_bytes % page_bytes != 0) {
    return invalid(
        fmt::format("a ring of {} bytes: must be a power of two of at least {}", capacity_bytes, page_bytes));
  }
  Result<Mapping> memory =
      layout == Layout::doubled ? map_doubled(capacity_bytes) : map_padded(capacity_bytes);
  if (!memory) return memory.error();
  return std::unique_ptr<ByteRing>(new ByteRing(std::move(*memory), capacity_bytes, layout));
}

ByteRing::ByteRing(Mapping memory, std::size_t capacity_bytes, Layout layout)
    : memory_(std::move(memory)), capacity_(capacity_bytes), mask_(capacity_bytes - 1), layout_(layout) {}

void ByteRing::start_at(std::uint64_t position) {
  FASTLOGD_CHECK(producer_.tail == 0 && consumer_.head == 0);
  producer_.tail = producer_.read_copy = position;
  consumer_.head = consumer_.written_copy = position;
  written_.position.store(position, std::memory_order_release);
  read_.position.store(position, std::memory_order_release);
}

}  // namespace fastlogd::ring

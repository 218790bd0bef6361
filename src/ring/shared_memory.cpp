#include "ring/shared_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <new>
#include <utility>

#include <fmt/format.h>

namespace fastlogd::ring {
namespace {

constexpr unsigned kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

/// A file of memory that is all there and keeps its size. fallocate, because a page that is missing when memory is
/// short would be a SIGBUS later.
Result<UniqueFd> make_file(const char* name, std::size_t bytes) {
  UniqueFd file(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) return errno_error("memfd_create for a shared ring");
  if (::fallocate(file.get(), 0, 0, static_cast<off_t>(bytes)) != 0) {
    return errno_error(fmt::format("allocate {} bytes for a shared ring", bytes));
  }
  if (::fcntl(file.get(), F_ADD_SEALS, kSeals) != 0) return errno_error("seal the memory of a shared ring");
  return file;
}

Result<Mapping> map_file(int fd, std::size_t bytes, int protection) {
  void* at = ::mmap(nullptr, bytes, protection, MAP_SHARED | MAP_POPULATE, fd, 0);
  if (at == MAP_FAILED) return errno_error(fmt::format("map {} bytes of a shared ring", bytes));
  return Mapping(at, bytes);
}

/// A second descriptor of the same file that can't be mapped for writing. (F_SEAL_FUTURE_WRITE would do that too, for
/// ever and everybody: a daemon that gets the page back after a restart could not write it any more.) The mode keeps
/// who has the descriptor from opening it again for more.
Result<UniqueFd> open_read_only(const UniqueFd& file) {
  if (::fchmod(file.get(), S_IRUSR) != 0)
    return errno_error("make the consumer's page of a shared ring private");
  UniqueFd read_only(::open(fmt::format("/proc/self/fd/{}", file.get()).c_str(), O_RDONLY | O_CLOEXEC));
  if (!read_only) return errno_error("open the consumer's page of a shared ring for reading");
  return read_only;
}

SharedParts parts_of(const Mapping& first, const Mapping& second, std::size_t capacity) {
  return {.producer = std::launder(reinterpret_cast<ProducerPage*>(first.data())),
          .consumer = std::launder(reinterpret_cast<ConsumerPage*>(second.data())),
          .data = first.data() + limits::kPageBytes,
          .capacity = capacity};
}

}  // namespace

Result<SharedMemory> SharedMemory::create(std::size_t capacity) {
  FASTLOGD_CHECK(std::has_single_bit(capacity) && capacity >= limits::kPageBytes);
  SharedMemory memory;
  const std::size_t bytes = limits::kPageBytes + capacity;
  Result<UniqueFd> data = make_file("fastlogd-shared-ring", bytes);
  if (!data) return data.error();
  Result<UniqueFd> page = make_file("fastlogd-shared-position", limits::kPageBytes);
  if (!page) return page.error();
  Result<Mapping> first = map_file(data->get(), bytes, PROT_READ | PROT_WRITE);
  if (!first) return first.error();
  Result<Mapping> second = map_file(page->get(), limits::kPageBytes, PROT_READ | PROT_WRITE);
  if (!second) return second.error();
  Result<UniqueFd> read_only = open_read_only(*page);
  if (!read_only) return read_only.error();
  new (first->data()) ProducerPage;
  new (second->data()) ConsumerPage;
  memory.parts_ = parts_of(*first, *second, capacity);
  memory.first_ = std::move(*first);
  memory.second_ = std::move(*second);
  memory.data_fd_ = std::move(*data);
  memory.consumer_page_fd_ = std::move(*read_only);
  memory.own_page_fd_ = std::move(*page);
  return memory;
}

Result<SharedMemory> SharedMemory::resume(UniqueFd one, UniqueFd other) {
  const auto bytes_of = [](const UniqueFd& file) -> std::uint64_t {
    struct stat status{};
    const int seals = ::fcntl(file.get(), F_GET_SEALS);
    const bool ours = seals >= 0 && (static_cast<unsigned>(seals) & kSeals) == kSeals;
    return ours && ::fstat(file.get(), &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
  };
  UniqueFd& data = bytes_of(one) > bytes_of(other) ? one : other;
  UniqueFd& page = &data == &one ? other : one;
  const std::uint64_t bytes = bytes_of(data);
  const std::uint64_t capacity = bytes - limits::kPageBytes;
  if (bytes_of(page) != limits::kPageBytes || bytes < 2 * limits::kPageBytes ||
      !std::has_single_bit(capacity)) {
    return invalid(fmt::format("sealed files of {} and {} bytes are not the memory of a shared ring", bytes,
                               bytes_of(page)));
  }
  Result<Mapping> first = map_file(data.get(), bytes, PROT_READ | PROT_WRITE);
  if (!first) return first.error();
  Result<Mapping> second = map_file(page.get(), limits::kPageBytes, PROT_READ | PROT_WRITE);
  if (!second) return second.error();
  SharedMemory memory;
  memory.parts_ = parts_of(*first, *second, capacity);
  if (memory.parts_.consumer->read.load(std::memory_order_acquire) % 8 != 0) {
    return invalid("a shared ring that is read from an odd position");
  }
  memory.first_ = std::move(*first);
  memory.second_ = std::move(*second);
  return memory;
}

Result<SharedMemory> SharedMemory::open(UniqueFd data, UniqueFd consumer_page, std::size_t capacity) {
  SharedMemory memory;
  const std::size_t bytes = limits::kPageBytes + capacity;
  struct stat data_status{};
  struct stat page_status{};
  if (::fstat(data.get(), &data_status) != 0 || ::fstat(consumer_page.get(), &page_status) != 0) {
    return errno_error("look at the memory of a shared ring");
  }
  if (!std::has_single_bit(capacity) || capacity < limits::kPageBytes ||
      static_cast<std::uint64_t>(data_status.st_size) != bytes ||
      page_status.st_size != static_cast<off_t>(limits::kPageBytes)) {
    return invalid(fmt::format("{} and {} bytes are not the memory of a shared ring of {}",
                               data_status.st_size, page_status.st_size, capacity));
  }
  Result<Mapping> first = map_file(data.get(), bytes, PROT_READ | PROT_WRITE);
  if (!first) return first.error();
  Result<Mapping> second = map_file(consumer_page.get(), limits::kPageBytes, PROT_READ);
  if (!second) return second.error();
  memory.parts_ = parts_of(*first, *second, capacity);
  memory.first_ = std::move(*first);
  memory.second_ = std::move(*second);
  return memory;
}

}  // namespace fastlogd::ring

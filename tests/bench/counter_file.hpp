// Two numbers that one process counts and another watches.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "base/file_system.hpp"

namespace fastlogd::bench {

struct Received {
  std::atomic<std::uint64_t> bytes{0};
  std::atomic<std::uint64_t> messages{0};  ///< datagrams; stays 0 on streams
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

/// The file is made by whoever comes first, zero.
class CounterFile {
 public:
  explicit CounterFile(const std::string& path) {
    FileSystem& files = posix_file_system();
    const UniqueFd fd = files.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600).value();
    files.allocate(fd.get(), 0, sizeof(Received)).value();
    mapping_ = files.map(fd.get(), 0, sizeof(Received), PROT_READ | PROT_WRITE, MAP_SHARED).value();
  }
  [[nodiscard]] Received& operator*() const { return *reinterpret_cast<Received*>(mapping_.data()); }
  [[nodiscard]] Received* operator->() const { return &**this; }

 private:
  Mapping mapping_;
};

}  // namespace fastlogd::bench

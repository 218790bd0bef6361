#include "crash/volatile_disk/disk.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <numeric>
#include <thread>

namespace fastlogd::crash {
namespace {

std::byte* zeros(std::size_t bytes) {
  void* memory =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  return static_cast<std::byte*>(memory);
}

}  // namespace

Disk::Disk(std::size_t bytes)
    : size_(bytes), seen_(zeros(bytes)), durable_(zeros(bytes)), touched_(bytes / kPageBytes + 1) {}

Disk::~Disk() {
  ::munmap(seen_, size_);
  ::munmap(durable_, size_);
}

std::span<const std::byte> Disk::read(std::size_t offset, std::size_t bytes) const {
  if (offset >= size_) return {};
  return {seen_ + offset, std::min(bytes, size_ - offset)};
}

bool Disk::write(std::size_t offset, std::span<const std::byte> bytes) {
  ++writes_;
  if (writes_to_fail_ > 0) {
    --writes_to_fail_;
    return false;
  }
  if (bytes.empty() || offset >= size_ || bytes.size() > size_ - offset) return false;
  std::memcpy(seen_ + offset, bytes.data(), bytes.size());
  for (std::size_t page = offset / kPageBytes; page <= (offset + bytes.size() - 1) / kPageBytes; ++page) {
    touched_[page] = true;
  }
  unflushed_.push_back({offset, {bytes.begin(), bytes.end()}});
  return true;
}

bool Disk::flush() {
  ++flushes_;
  if (flush_delay_.count() > 0) std::this_thread::sleep_for(flush_delay_);
  if (flushes_to_fail_ > 0) {
    --flushes_to_fail_;
    unflushed_.clear();
    return false;
  }
  if (lies_) return true;
  for (const Write& write : unflushed_) {
    std::memcpy(durable_ + write.offset, write.bytes.data(), write.bytes.size());
  }
  unflushed_.clear();
  return true;
}

bool Disk::crash_image(const std::string& path, std::uint64_t seed) const {
  std::mt19937_64 random(seed);
  std::vector<std::size_t> order(unflushed_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  // Many disks keep the order; none promises it.
  const bool ordered = random() % 3 == 0;
  if (ordered) {
    order.resize(random() % (order.size() + 1));
  } else {
    std::shuffle(order.begin(), order.end(), random);
  }
  const unsigned keep = ordered ? 100 : static_cast<unsigned>(random() % 101);
  std::map<std::size_t, const std::byte*> sectors;  // what is there instead of the durable bytes
  for (const std::size_t i : order) {
    const Write& write = unflushed_[i];
    const bool torn = random() % 4 == 0 || (ordered && i + 1 == order.size());
    const bool whole = random() % 100 < keep;
    for (std::size_t at = 0; at + kSectorBytes <= write.bytes.size(); at += kSectorBytes) {
      if (torn ? random() % 2 == 0 : whole) sectors[write.offset + at] = write.bytes.data() + at;
    }
  }
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  bool done = ::ftruncate(fd, static_cast<off_t>(size_)) == 0 && write_touched_pages(fd, {durable_, size_});
  for (const auto& [at, bytes] : sectors) {
    done = done &&
           ::pwrite(fd, bytes, kSectorBytes, static_cast<off_t>(at)) == static_cast<ssize_t>(kSectorBytes);
  }
  return ::close(fd) == 0 && done;
}

bool Disk::write_touched_pages(int fd, std::span<const std::byte> content) const {
  for (std::size_t page = 0; page < size_ / kPageBytes; ++page) {
    if (!touched_[page]) continue;
    std::size_t end = page;
    while (end < size_ / kPageBytes && touched_[end]) ++end;
    const auto run = content.subspan(page * kPageBytes, (end - page) * kPageBytes);
    if (::pwrite(fd, run.data(), run.size(), static_cast<off_t>(page * kPageBytes)) !=
        static_cast<ssize_t>(run.size())) {
      return false;
    }
    page = end;
  }
  return true;
}

}  // namespace fastlogd::crash

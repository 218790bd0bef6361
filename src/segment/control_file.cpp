#include "segment/control_file.hpp"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <new>
#include <sstream>
#include <thread>

#include <fmt/format.h>

#include "segment/segment_file.hpp"

namespace fastlogd::segment {
namespace {

constexpr std::array<char, 8> kControlMagic{'F', 'L', 'O', 'G', 'C', 'T', 'L', '1'};
constexpr std::uint32_t kControlVersion = 1;
constexpr std::chrono::milliseconds kPollInterval{5};  // for readers that may not write the wait word

std::string lock_path(const std::string& directory) {
  return directory + "/LOCK";
}

struct flock whole_file(short type) {
  struct flock lock{};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

/// "key=value" lines of a LOCK file.
std::optional<std::string> value_of(const std::string& text, std::string_view key) {
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == '=')
      return line.substr(key.size() + 1);
  }
  return std::nullopt;
}

std::string read_small(int fd) {
  std::array<char, 4096> buffer{};
  const ssize_t n = ::pread(fd, buffer.data(), buffer.size(), 0);
  return n > 0 ? std::string(buffer.data(), static_cast<std::size_t>(n)) : std::string();
}

std::optional<Uuid> parse_uuid(std::string text) {
  std::erase(text, '-');
  Uuid uuid{};
  if (text.size() != 2 * uuid.size()) return std::nullopt;
  for (std::size_t i = 0; i < uuid.size(); ++i) {
    unsigned value = 0;
    if (std::sscanf(text.c_str() + 2 * i, "%2x", &value) != 1) return std::nullopt;
    uuid[i] = static_cast<std::uint8_t>(value);
  }
  return uuid;
}

bool is_tmpfs(int fd) {
  struct statfs info{};
  return ::fstatfs(fd, &info) == 0 && info.f_type == TMPFS_MAGIC;
}

bool is_tmpfs(const std::string& directory) {
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return fd && is_tmpfs(fd.get());
}

/// A fresh page-sized file. Made under another name and renamed, so that nobody maps a half-written one.
Result<Mapping> create_page(const std::string& path, mode_t mode, std::span<const std::byte> content) {
  const std::string temporary = path + ".tmp";
  ::unlink(temporary.c_str());
  const UniqueFd fd(::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!fd) return errno_error("create " + temporary);
  Page page{};
  std::copy(content.begin(), content.end(), page.begin());
  if (::fchmod(fd.get(), mode) != 0 ||
      ::pwrite(fd.get(), page.data(), page.size(), 0) != static_cast<ssize_t>(page.size())) {
    return errno_error("write " + temporary);
  }
  void* address = ::mmap(nullptr, page.size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (address == MAP_FAILED) return errno_error("mmap " + temporary);
  Mapping mapping(address, page.size());
  if (::rename(temporary.c_str(), path.c_str()) != 0) return errno_error("rename " + temporary);
  return mapping;
}

Mapping map_page(int fd, int prot) {
  struct stat info{};
  if (::fstat(fd, &info) != 0 || info.st_size != static_cast<off_t>(limits::kPageBytes)) return {};
  void* address = ::mmap(nullptr, limits::kPageBytes, prot, MAP_SHARED, fd, 0);
  return address == MAP_FAILED ? Mapping() : Mapping(address, limits::kPageBytes);
}

long futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value, const timespec* timeout) {
  return ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), operation, value, timeout, nullptr, 0);
}

/// A killed daemon leaves both its files behind. The next one replaces them, unless the runtime directory is another
/// one now. LOCK, which names them, is a text that anything may stand in: the file itself must say that it is this
/// log's. Read, not mapped: whoever owns such a file might cut it.
void remove_left_behind(const std::string& control, const Uuid& log_uuid) {
  static constexpr std::string_view kSuffix = ".control";
  if (!control.ends_with(kSuffix)) return;
  const UniqueFd fd(::open(control.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  std::array<char, offsetof(ControlPage, identity) + sizeof(Uuid)> begin{};
  if (!fd || ::pread(fd.get(), begin.data(), begin.size(), 0) != static_cast<ssize_t>(begin.size())) return;
  const std::string_view read(begin.data(), begin.size());
  const std::string_view magic(kControlMagic.data(), kControlMagic.size());
  const std::string_view uuid(reinterpret_cast<const char*>(log_uuid.data()), log_uuid.size());
  if (!read.starts_with(magic) || !read.ends_with(uuid)) return;
  ::unlink(control.c_str());
  ::unlink((control.substr(0, control.size() - kSuffix.size()) + ".wait").c_str());
}

bool lock_is_held(int fd) {
  struct flock lock = whole_file(F_WRLCK);
  return ::fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

}  // namespace

LockFacts look_at_lock(const std::string& directory) {
  LockFacts facts;
  const UniqueFd fd(::open(lock_path(directory).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd) return facts;
  facts.held = lock_is_held(fd.get());
  const std::string text = read_small(fd.get());
  facts.pid = value_of(text, "pid").value_or("");
  if (const auto uuid = value_of(text, "log")) facts.log_uuid = parse_uuid(*uuid);
  return facts;
}

Result<DirectoryLock> DirectoryLock::acquire(FileSystem& files, const std::string& directory) {
  const std::string path = lock_path(directory);
  auto fd = files.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0644);
  if (!fd) return fd.error();
  DirectoryLock lock;
  lock.path_ = path;
  lock.fd_ = std::move(*fd);
  struct stat info{};
  if (::fstat(lock.fd_.get(), &info) != 0) return errno_error("look at " + path);
  if (!S_ISREG(info.st_mode)) return invalid(path + " is no regular file");
  const std::string text = read_small(lock.fd_.get());
  struct flock request = whole_file(F_WRLCK);
  if (::fcntl(lock.fd_.get(), F_OFD_SETLK, &request) != 0) {
    if (errno != EAGAIN && errno != EACCES) return errno_error("lock " + path);
    return Error{std::make_error_code(std::errc::device_or_resource_busy),
                 fmt::format("{} is locked by another fastlogd (pid {})", path,
                             value_of(text, "pid").value_or("unknown"))};
  }
  if (const auto uuid = value_of(text, "log")) lock.log_uuid_ = parse_uuid(*uuid);
  return lock;
}

Result<> DirectoryLock::describe(FileSystem& files, const std::string& control, const std::string& wait,
                                 const Uuid& log_uuid) {
  const std::string before = value_of(read_small(fd_.get()), "control").value_or("");
  const std::string text =
      fmt::format("log={}\npid={}\ncontrol={}\nwait={}\n", to_string(log_uuid), ::getpid(), control, wait);
  // Over the old text first, cut then: a kill between the two leaves lines behind ours, never an empty file that has
  // forgotten which log this is.
  if (auto done = files.write_at(fd_.get(), std::as_bytes(std::span(text)), 0); !done) {
    return prefixed(path_, done.error());
  }
  if (::ftruncate(fd_.get(), static_cast<off_t>(text.size())) != 0) return errno_error("truncate " + path_);
  log_uuid_ = log_uuid;
  if (before != control) remove_left_behind(before, log_uuid);
  if (auto done = files.sync_data(fd_.get()); !done) return prefixed(path_, done.error());
  return {};
}

Result<ControlWriter> ControlWriter::create(const std::string& directory, const std::string& stream,
                                            const ControlIdentity& identity) {
  ControlWriter writer;
  writer.moved_ = !is_tmpfs(directory);
  // In the shared directory the log's uuid keeps streams of equal names apart.
  const std::string stem =
      writer.moved_ ? "/dev/shm/fastlogd-" + to_string(identity.log_uuid) : directory + "/" + stream;
  writer.control_path_ = stem + ".control";
  writer.wait_path_ = stem + ".wait";
  auto control = create_page(writer.control_path_, 0644, {});
  if (!control) return control.error();
  writer.control_ = std::move(*control);
  auto* page = new (writer.control_.data()) ControlPage{};
  page->version = kControlVersion;
  page->pid = static_cast<std::uint32_t>(::getpid());
  page->identity = identity;
  page->state.store(LogState::starting);
  page->magic = kControlMagic;
  auto wait = create_page(writer.wait_path_, 0666, {});
  if (!wait) return wait.error();
  writer.wait_ = std::move(*wait);
  writer.wait_guard_ = StoreGuard({writer.wait_.data(), writer.wait_.size()});
  return writer;
}

void ControlWriter::set_committed(LogPosition position) {
  FASTLOGD_CHECK(position.value >= page().committed_pos.load(std::memory_order_relaxed));
  page().committed_pos.store(position.value, std::memory_order_seq_cst);
  wake_readers();
}

void ControlWriter::set_durable(LogPosition position) {
  FASTLOGD_CHECK(position.value <= page().committed_pos.load(std::memory_order_acquire));
  if (position.value > page().durable_pos.load(std::memory_order_relaxed)) {
    page().durable_pos.store(position.value, std::memory_order_release);
  }
}

void ControlWriter::set_oldest(LogPosition position) {
  page().oldest_pos.store(position.value, std::memory_order_release);
}

void ControlWriter::set_state(LogState state) {
  page().state.store(state, std::memory_order_seq_cst);
  wake_readers();
}

void ControlWriter::wake_readers() {
  if (wait_word().load(std::memory_order_seq_cst) == 0) return;
  wait_word().exchange(0, std::memory_order_seq_cst);
  (void)futex(wait_word(), FUTEX_WAKE, INT32_MAX, nullptr);
}

LogPosition ControlWriter::committed() const {
  return {page().committed_pos.load(std::memory_order_acquire)};
}
LogPosition ControlWriter::durable() const {
  return {page().durable_pos.load(std::memory_order_acquire)};
}
LogPosition ControlWriter::oldest() const {
  return {page().oldest_pos.load(std::memory_order_acquire)};
}

void ControlWriter::unlink_files() {
  ::unlink(control_path_.c_str());
  ::unlink(wait_path_.c_str());
}

std::optional<ControlReader> ControlReader::open(const std::string& directory) {
  ControlReader reader;
  reader.directory_ = directory;
  reader.lock_ = UniqueFd(::open(lock_path(directory).c_str(), O_RDONLY | O_CLOEXEC));
  if (!reader.lock_ || !lock_is_held(reader.lock_.get())) return std::nullopt;
  const std::string text = read_small(reader.lock_.get());
  const auto control = value_of(text, "control");
  const auto wait = value_of(text, "wait");
  if (!control || !wait) return std::nullopt;
  reader.control_fd_ = UniqueFd(::open(control->c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!reader.control_fd_) return std::nullopt;
  reader.control_ = map_page(reader.control_fd_.get(), PROT_READ);
  if (!reader.control_) return std::nullopt;
  const ControlPage& page = reader.page();
  if (page.magic != kControlMagic || page.version != kControlVersion) return std::nullopt;
  // What lies on tmpfs is of this boot by nature; a container may show its readers a boot id of its own.
  if (!is_tmpfs(reader.control_fd_.get()) && page.identity.boot_id != current_boot_id()) return std::nullopt;
  reader.wait_fd_ = UniqueFd(::open(wait->c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (reader.wait_fd_) reader.wait_ = map_page(reader.wait_fd_.get(), PROT_READ);
  if (page.state.load(std::memory_order_acquire) != LogState::running) return std::nullopt;
  return reader;
}

LogPosition ControlReader::committed() const {
  return {page().committed_pos.load(std::memory_order_acquire)};
}
LogPosition ControlReader::durable() const {
  return {page().durable_pos.load(std::memory_order_acquire)};
}
LogPosition ControlReader::oldest() const {
  return {page().oldest_pos.load(std::memory_order_acquire)};
}

bool ControlReader::current() const {
  struct stat info{};
  return page().state.load(std::memory_order_acquire) == LogState::running && lock_is_held(lock_.get()) &&
         ::fstat(control_fd_.get(), &info) == 0 && info.st_nlink > 0;
}

void ControlReader::wait(LogPosition seen, std::chrono::nanoseconds timeout) const {
  if (!wait_) {
    if (committed() == seen)
      std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(timeout, kPollInterval));
    return;
  }
  // By the system's hand: whoever may write the file may cut it as well, and a store into what was cut is SIGBUS. The
  // futex is never read here, only named; without memory behind it the call returns.
  auto& word = *reinterpret_cast<std::atomic<std::uint32_t>*>(wait_.data());
  const std::uint32_t somebody_sleeps = 1;
  const bool told = ::pwrite(wait_fd_.get(), &somebody_sleeps, sizeof somebody_sleeps, 0) > 0;
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (page().committed_pos.load(std::memory_order_seq_cst) != seen.value ||
      page().state.load(std::memory_order_seq_cst) != LogState::running) {
    return;
  }
  const timespec limit{.tv_sec = timeout.count() / 1'000'000'000, .tv_nsec = timeout.count() % 1'000'000'000};
  if (told && (futex(word, FUTEX_WAIT, 1, &limit) == 0 || errno != EFAULT)) return;
  std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(timeout, kPollInterval));
}

}  // namespace fastlogd::segment

// Carries out what recovery_plan.cpp has decided.
#include "segment/recovery.hpp"

#include <fcntl.h>

#include <fmt/format.h>

#include "segment/recovery_plan.hpp"
#include "segment/segment_file.hpp"

namespace fastlogd::segment {
namespace {

constexpr std::size_t kCopyBytes = 64 * limits::kKiB;
constexpr mode_t kWritableMode = 0640;

class Recovery {
 public:
  Recovery(FileSystem& files, RecoveryPlan plan) : files_(files), plan_(std::move(plan)) {}

  /// Files that nobody needs go first: on a full disk a torn tail wants their place. What is set aside goes last:
  /// an attempt that dies here must leave to the next one all that this one decided by.
  Result<RecoveryReport> run() {
    for (const auto step : {&Recovery::remove, &Recovery::close, &Recovery::set_aside}) {
      for (FilePlan& file : plan_.files) {
        if (auto done = (this->*step)(file); !done && !leave(file, done.error())) return done.error();
      }
    }
    return conclude(plan_);
  }

 private:
  [[nodiscard]] bool leave(FilePlan& file, const Error& error) const;
  Result<> remove(FilePlan& file);
  Result<> close(FilePlan& file);
  Result<> set_aside(FilePlan& file);
  Result<UniqueFd> open_for_writing(const std::string& path);
  Result<> save_torn(FilePlan& file, int fd);
  Result<std::string> copy_aside(const FilePlan& file, int fd);
  Result<> zero(int fd, std::uint64_t from, std::uint64_t bytes);
  [[nodiscard]] std::string path_of(const FilePlan& file) const { return plan_.directory + "/" + file.name; }

  FileSystem& files_;
  RecoveryPlan plan_;
};

/// Whether a start may go on although this file can't be brought in order. Readers would take a segment of another log for
/// one of ours; all others they can tell by themselves.
bool Recovery::leave(FilePlan& file, const Error& error) const {
  if (!is_disk_trouble(error)) return false;
  const bool foreign = file.header.segment_bytes != 0 && file.header.log_uuid != plan_.log_uuid;
  if (file.fate == Fate::set_aside && foreign) return false;
  file.trouble = fmt::format("left as it is, to be {} by the next start: {}",
                             file.fate == Fate::remove      ? "removed"
                             : file.fate == Fate::set_aside ? "set aside"
                                                            : "finished",
                             error.message());
  return true;
}

Result<> Recovery::remove(FilePlan& file) {
  return file.fate == Fate::remove ? files_.unlink(path_of(file)) : Result<>{};
}

Result<> Recovery::set_aside(FilePlan& file) {
  if (file.fate != Fate::set_aside) return {};
  const std::string from = path_of(file);
  std::string to = from + ".damaged";
  for (int i = 1; files_.status(to).has_value(); ++i) to = fmt::format("{}.damaged-{}", from, i);
  if (auto done = files_.rename(from, to); !done) return done;
  file.why = fmt::format("set aside as {}: {}", to, file.why);
  const auto synced = files_.sync_directory(plan_.directory);
  // A power loss may take the new name: the next start finds it as this one has.
  return synced || is_disk_trouble(synced.error()) ? Result<>{} : synced;
}

/// A sealed segment is read-only; if its trailer is damaged it has to be written again.
Result<UniqueFd> Recovery::open_for_writing(const std::string& path) {
  auto fd = files_.open(path, O_RDWR | O_NOFOLLOW, 0);
  if (fd || fd.error().code != std::errc::permission_denied) return fd;
  auto readable = files_.open(path, O_RDONLY | O_NOFOLLOW, 0);
  if (!readable) return fd;
  if (auto done = files_.set_mode(readable->get(), kWritableMode); !done) return done.error();
  return files_.open(path, O_RDWR | O_NOFOLLOW, 0);
}

Result<> Recovery::close(FilePlan& file) {
  if (!file.stays() || file.fate == Fate::keep) return {};
  auto fd = open_for_writing(path_of(file));
  if (!fd) return fd.error();
  if (file.fate == Fate::cut) {
    if (auto done = save_torn(file, fd->get()); !done) return done;
  }
  return seal_segment(files_, fd->get(), file.header, file.trailer);
}

/// Keeps a copy of the torn tail beside the segment, then zeroes it: a stale frame must not come back to life.
/// What the disk does not let be copied or zeroed stays where it is, and the trailer says so.
Result<> Recovery::save_torn(FilePlan& file, int fd) {
  const auto aside = copy_aside(file, fd);
  if (!aside) {
    if (!is_disk_trouble(aside.error())) return aside.error();
    file.why += is_no_room(aside.error())
                    ? " stays in it: no space to save it aside"
                    : " stays in it, it can't be saved aside: " + aside.error().message();
    file.trailer.state = TrailerState::damaged;
    return {};
  }
  const auto zeroed = zero(fd, file.scan.valid_end, file.scan.torn_bytes);
  if (!zeroed) {
    if (!is_disk_trouble(zeroed.error())) return zeroed.error();
    file.why +=
        fmt::format(" stays in it, it can't be zeroed: {}; a copy is {}", zeroed.error().message(), *aside);
    file.trailer.state = TrailerState::damaged;
    return {};
  }
  file.why = fmt::format("cut {}, kept as {}", file.why, *aside);
  return {};
}

Result<> Recovery::zero(int fd, std::uint64_t from, std::uint64_t bytes) {
  const std::vector<std::byte> zeros(kCopyBytes);
  for (std::uint64_t done = 0; done < bytes; done += zeros.size()) {
    const std::uint64_t n = std::min<std::uint64_t>(zeros.size(), bytes - done);
    if (auto put = files_.write_at(fd, std::span(zeros).first(n), from + done); !put) return put;
  }
  return {};
}

/// Under a name of its own: a recovery that died while zeroing has left the complete copy, this is the rest.
Result<std::string> Recovery::copy_aside(const FilePlan& file, int fd) {
  const std::string stem = fmt::format("{}.torn-{}", path_of(file), plan_.epoch);
  std::string path = stem;
  for (int i = 1; files_.status(path).has_value(); ++i) path = fmt::format("{}-{}", stem, i);
  auto copy = files_.open(path, O_WRONLY | O_CREAT | O_EXCL, 0440);
  if (!copy) return copy.error();
  std::vector<std::byte> buffer(kCopyBytes);
  Result<> put;
  for (std::uint64_t done = 0; done < file.scan.torn_bytes && put; done += buffer.size()) {
    const std::uint64_t n = std::min<std::uint64_t>(buffer.size(), file.scan.torn_bytes - done);
    const auto got = files_.read_at(fd, std::span(buffer).first(n), file.scan.valid_end + done);
    if (got) put = files_.write_at(copy->get(), std::span(buffer).first(*got), done);  // else a bad sector
  }
  if (put) put = files_.sync_data(copy->get());
  // The tail is about to be zeroed: its copy must not lose its name to a power failure.
  if (put) put = files_.sync_directory(plan_.directory);
  if (!put) {
    (void)files_.unlink(path);
    return put.error();
  }
  return path;
}

}  // namespace

Result<RecoveryReport> recover(FileSystem& files, const std::string& directory,
                               const std::optional<Uuid>& known_log) {
  auto plan = plan_recovery(files, directory, known_log);
  if (!plan) return plan.error();
  return Recovery(files, std::move(*plan)).run();
}

}  // namespace fastlogd::segment

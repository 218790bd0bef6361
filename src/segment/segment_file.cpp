#include "segment/segment_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <array>
#include <charconv>
#include <fstream>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "base/persist.hpp"

namespace fastlogd::segment {
namespace {

constexpr std::string_view kSuffix = ".flog";
constexpr std::size_t kIndexDigits = 20;
constexpr mode_t kActiveMode = 0640;
constexpr mode_t kSealedMode = 0440;

Result<PreparedSegment> fill_temporary(FileSystem& files, const PrepareRequest& request,
                                       const std::string& temporary) {
  PreparedSegment segment;
  auto fd = files.open(temporary, O_RDWR | O_CREAT | O_EXCL, kActiveMode);
  if (!fd && fd.error().code == std::errc::file_exists) {  // of an attempt before, which could not remove it
    if (auto done = files.unlink(temporary); !done) return done.error();
    fd = files.open(temporary, O_RDWR | O_CREAT | O_EXCL, kActiveMode);
  }
  if (!fd) return fd.error();
  segment.fd = std::move(*fd);
  if (auto done = files.allocate(segment.fd.get(), 0, request.segment_bytes); !done) {
    return prefixed(temporary, done.error());
  }
  segment.header.segment_bytes = request.segment_bytes;
  segment.header.log_uuid = request.log_uuid;
  segment.header.segment_uuid = random_uuid();
  segment.header.index = request.index;
  segment.header.epoch = request.epoch;
  segment.header.created_ns = realtime_ns();
  segment.header.created_monotonic_ns = monotonic_ns();
  segment.header.boot_id = request.boot_id;
  const Page page = encode(segment.header);
  if (auto done = files.write_at(segment.fd.get(), page, 0); !done) return prefixed(temporary, done.error());
  if (auto done = files.sync_data(segment.fd.get()); !done) return prefixed(temporary, done.error());
  return segment;
}

/// MAP_SYNC or nothing: with MAP_SHARED_VALIDATE a kernel or file system that can't do it says so (EOPNOTSUPP, EINVAL);
/// plain MAP_SHARED would ignore the flag.
Result<Mapping> map_sync(FileSystem& files, const PrepareRequest& request, int fd) {
  if (best_write_back() == WriteBack::none) return invalid("this processor can't write back a cache line");
  return files.map(fd, 0, request.segment_bytes, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC);
}

Result<> map_for_writing(FileSystem& files, const PrepareRequest& request, PreparedSegment& segment) {
  segment.method = request.method;
  if (request.method == WriteMethod::dax) {
    if (auto mapping = map_sync(files, request, segment.fd.get())) {
      segment.mapping = std::move(*mapping);
      return {};
    }
    segment.method = request.otherwise;
  }
  if (segment.method == WriteMethod::pwrite) return {};
  auto mapping = files.map(segment.fd.get(), 0, request.segment_bytes, PROT_READ | PROT_WRITE, MAP_SHARED);
  if (!mapping) return prefixed(segment.path, mapping.error());
  segment.mapping = std::move(*mapping);
  const int advice = request.huge_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE;
  const bool taken = ::madvise(segment.mapping.data(), request.segment_bytes, advice) == 0;
  segment.huge_pages_asked = taken && request.huge_pages;
  return {};
}

/// rename(2) replaces what bears the new name. Nobody else makes segments here, but a start may not have been shown them all.
Result<> check_unused(FileSystem& files, const std::string& path) {
  const auto found = files.status(path);
  if (found) return Error{std::make_error_code(std::errc::file_exists), path};
  return found.error().code == std::errc::no_such_file_or_directory ? Result<>{} : found.error();
}

}  // namespace

std::string segment_name(std::uint64_t index) {
  return fmt::format("{:020}{}", index, kSuffix);
}

std::string segment_path(const std::string& directory, std::uint64_t index) {
  return directory + "/" + segment_name(index);
}

std::optional<std::uint64_t> parse_segment_name(std::string_view name) {
  if (name.size() != kIndexDigits + kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
  std::uint64_t index = 0;
  const auto [end, status] = std::from_chars(name.data(), name.data() + kIndexDigits, index);
  if (status != std::errc{} || end != name.data() + kIndexDigits) return std::nullopt;
  if (index > kSegmentIndexMax) return std::nullopt;
  return index;
}

bool is_set_aside(std::string_view name) {
  constexpr std::size_t kBytes = kIndexDigits + kSuffix.size();
  if (name.size() <= kBytes || !parse_segment_name(name.substr(0, kBytes))) return false;
  const std::string_view rest = name.substr(kBytes);
  return rest.starts_with(".damaged") || rest.starts_with(".torn-");
}

Result<std::vector<std::uint64_t>> list_segments(FileSystem& files, const std::string& directory) {
  auto names = files.list(directory);
  if (!names) return names.error();
  std::vector<std::uint64_t> indices;
  for (const std::string& name : *names) {
    if (const auto index = parse_segment_name(name)) indices.push_back(*index);
  }
  return indices;  // names of equal length sort like their numbers
}

Result<PreparedSegment> prepare_segment(FileSystem& files, const PrepareRequest& request) {
  const std::string path = segment_path(request.directory, request.index);
  const std::string temporary = path + ".tmp";
  if (request.index > kSegmentIndexMax) return invalid(path + ": no number is left for a further segment");
  if (auto unused = check_unused(files, path); !unused) return unused.error();
  auto segment = fill_temporary(files, request, temporary);
  if (!segment) {
    (void)files.unlink(temporary);  // a failed allocation may leave a grown file: it must not keep the space
    return segment.error();
  }
  segment->path = path;
  if (auto done = files.rename(temporary, path); !done) {
    (void)files.unlink(temporary);
    return done.error();
  }
  auto synced = files.sync_directory(request.directory);
  auto mapped = map_for_writing(files, request, *segment);
  if (!synced || !mapped) {
    (void)files.unlink(path);
    return synced ? mapped.error() : synced.error();
  }
  return segment;
}

Result<OpenedSegment> open_segment(FileSystem& files, const std::string& directory, std::uint64_t index) {
  const std::string path = segment_path(directory, index);
  // Not blocking: somebody may have put a FIFO there.
  auto fd = files.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
  if (!fd) return fd.error();
  struct stat info{};
  if (::fstat(fd->get(), &info) != 0) return errno_error("stat " + path);
  if (!S_ISREG(info.st_mode)) return invalid(path + ": not a regular file");
  Page page{};
  auto got = files.read_at(fd->get(), page, 0);
  if (!got) return Error{got.error().code, path + ": " + got.error().context};
  const auto file_bytes = static_cast<std::uint64_t>(info.st_size);
  HeaderCheck check = decode_header(std::span(page).first(*got), file_bytes);
  if (!check.header) return invalid(path + ": " + check.problem);
  if (check.header->index != index) {
    return invalid(fmt::format("{}: its header says it is number {}", path, check.header->index));
  }
  OpenedSegment segment{.header = *check.header, .trailer = {}, .fd = std::move(*fd)};
  got = files.read_at(segment.fd.get(), page, file_bytes - kTrailerBytes);
  if (!got) return Error{got.error().code, path + ": " + got.error().context};
  segment.trailer = decode_trailer(std::span(page).first(*got), segment.header);
  return segment;
}

bool is_bad_segment(const Error& error) {
  return is_bad_storage(error) || error.code == std::errc::invalid_argument ||
         error.code == std::errc::too_many_symbolic_link_levels ||
         error.code == std::errc::no_such_device_or_address;  // a socket
}

Result<> seal_segment(FileSystem& files, int fd, const FileHeader& header, const FileTrailer& trailer) {
  // The frames first: a trailer vouches for them.
  if (auto done = files.sync_data(fd); !done) return done;
  return finish_segment(files, fd, header, trailer);
}

Result<> finish_segment(FileSystem& files, int fd, const FileHeader& header, const FileTrailer& trailer) {
  const Page page = encode(trailer);
  if (auto done = files.write_at(fd, page, header.segment_bytes - kTrailerBytes); !done) return done;
  if (auto done = files.sync_data(fd); !done) return done;
  // Punched, never truncated: a reader may have the file mapped and would take SIGBUS. Without support for
  // holes the file merely stays large.
  const std::uint64_t unused = (trailer.end_offset + limits::kPageBytes - 1) & ~(limits::kPageBytes - 1);
  if (trailer.state != TrailerState::damaged && unused < frames_end(header.segment_bytes)) {
    (void)files.punch(fd, unused, frames_end(header.segment_bytes) - unused);
  }
  (void)files.set_mode(fd, kSealedMode);  // a help against accidents; not every file system has modes
  return {};
}

Uuid current_boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string text;
  Uuid id{};
  if (!(file >> text)) return id;
  std::erase(text, '-');
  if (text.size() != 2 * id.size()) return id;
  for (std::size_t i = 0; i < id.size(); ++i) {
    std::from_chars(text.data() + 2 * i, text.data() + 2 * i + 2, id[i], 16);
  }
  return id;
}

}  // namespace fastlogd::segment

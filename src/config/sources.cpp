#include "config/sources.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstddef>
#include <span>

#include <fmt/format.h>

#include "base/file_system.hpp"

namespace fastlogd::config {
namespace {

SourceFile failed(std::string path, std::string error, bool missing = false) {
  return {std::move(path), {}, std::move(error), missing};
}

/// At most kFileBytesMax. O_NONBLOCK: a FIFO in the file's place must not hang the daemon.
SourceFile read_source(std::string path) {
  FileSystem& files = posix_file_system();
  const auto fd = files.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
  if (!fd) {
    const bool missing = fd.error().code == std::errc::no_such_file_or_directory;
    return failed(std::move(path), "cannot be opened: " + fd.error().code.message(), missing);
  }
  struct stat info{};
  if (::fstat(fd->get(), &info) != 0)
    return failed(std::move(path), "cannot be read: " + errno_error({}).message());
  if (!S_ISREG(info.st_mode)) return failed(std::move(path), "is not a regular file");

  std::string bytes(kFileBytesMax + 1, '\0');
  const auto size = files.read_at(fd->get(), std::as_writable_bytes(std::span(bytes)), 0);
  if (!size) return failed(std::move(path), "cannot be read: " + size.error().code.message());
  if (*size > kFileBytesMax) {
    return failed(std::move(path), fmt::format("is larger than {} bytes", kFileBytesMax));
  }
  bytes.resize(*size);
  bytes.shrink_to_fit();
  return {std::move(path), std::move(bytes), {}, false};
}

}  // namespace

std::string drop_in_directory(std::string_view main_path) {
  const std::size_t slash = main_path.rfind('/');
  if (slash == std::string_view::npos) return "conf.d";
  return std::string(main_path.substr(0, slash + 1)) + "conf.d";
}

std::vector<SourceFile> list_drop_ins(std::string_view main_path) {
  const std::string directory = drop_in_directory(main_path);
  std::vector<SourceFile> found;
  const auto names = posix_file_system().list(directory);
  if (!names) {
    if (names.error().code == std::errc::no_such_file_or_directory) return found;
    found.push_back(failed(directory, "cannot be listed: " + names.error().code.message()));
    return found;
  }
  for (const std::string& name : *names) {
    if (name.starts_with('.') || !name.ends_with(".yaml")) continue;
    found.push_back({directory + "/" + name, {}, {}, false});
  }
  if (found.size() > kDropInsMax) {
    found.clear();
    found.push_back(failed(directory, fmt::format("holds more than {} drop-ins", kDropInsMax)));
  }
  return found;
}

Sources read_sources(const std::string& main_path) {
  Sources sources;
  sources.files.push_back(read_source(main_path));
  for (SourceFile& drop_in : list_drop_ins(main_path)) {
    sources.files.push_back(drop_in.error.empty() ? read_source(std::move(drop_in.path))
                                                  : std::move(drop_in));
  }
  return sources;
}

}  // namespace fastlogd::config

// A temporary directory with configuration files in it, and short ways to load text.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "config/load.hpp"

namespace fastlogd::config {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = std::filesystem::temp_directory_path() / "fastlogd_config_XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp " + pattern);
    path_ = std::filesystem::canonical(pattern);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] std::string path(std::string_view name = {}) const {
    return name.empty() ? path_.string() : (path_ / name).string();
  }
  /// Writes in place, as `cat >` does. Missing parents are made.
  std::string write(std::string_view name, std::string_view text) const {
    const std::filesystem::path to = path_ / name;
    std::filesystem::create_directories(to.parent_path());
    std::ofstream(to, std::ios::binary | std::ios::trunc) << text;
    return to.string();
  }
  /// Writes beside and renames over, as editors do.
  void replace(std::string_view name, std::string_view text) const {
    write(".new~", text);
    std::filesystem::rename(path_ / ".new~", path_ / name);
  }

 private:
  std::filesystem::path path_;
};

/// Loads `text` as if it were the main file "main.yaml", with `drop_in` as "conf.d/10.yaml" unless it is
/// empty.
inline Loaded load_text(std::string_view text, std::string_view drop_in = {}) {
  Sources sources;
  sources.files.push_back({"main.yaml", std::string(text), {}, false});
  if (!drop_in.empty()) sources.files.push_back({"conf.d/10.yaml", std::string(drop_in), {}, false});
  return load_sources(std::move(sources));
}

/// All problems of `text`, one a line; empty when it is good.
inline std::string problems_of(std::string_view text, std::string_view drop_in = {}) {
  return format_problems(load_text(text, drop_in).problems);
}

}  // namespace fastlogd::config

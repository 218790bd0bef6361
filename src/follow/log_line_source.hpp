// A stream's log as lines in the short format.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/file_system.hpp"
#include "follow/line_source.hpp"
#include "segment/log_reader.hpp"
#include "view/text.hpp"

namespace fastlogd::follow {

/// Reads with pread: inside the daemon a bad sector must be an error, not SIGBUS. One thread.
class LogLineSource final : public LineSource {
 public:
  /// `segment_bytes` is the stream's, for the lag.
  [[nodiscard]] static Result<std::unique_ptr<LogLineSource>> open(const std::string& directory,
                                                                   std::uint64_t segment_bytes,
                                                                   FileSystem& files = posix_file_system());

  Fill fill(TextBuffer& into, std::size_t bytes_target) override;
  Result<> seek(LogPosition position, Sequence last) override;
  void seek_oldest() override;
  [[nodiscard]] LogPosition position() const override { return reader_.position(); }
  [[nodiscard]] Sequence last_sequence() const override { return last_; }
  [[nodiscard]] std::uint64_t lag_bytes() const override;
  void wait(std::chrono::nanoseconds timeout) override { reader_.wait(timeout); }
  [[nodiscard]] const Error& error() const override { return reader_.error(); }

 private:
  LogLineSource(segment::LogReader reader, std::uint64_t segment_bytes);
  void append_gap(TextBuffer& into, const segment::Gap& gap, Fill& fill);

  segment::LogReader reader_;
  view::RecordRenderer renderer_;
  std::uint64_t segment_bytes_;
  Sequence last_;
};

}  // namespace fastlogd::follow

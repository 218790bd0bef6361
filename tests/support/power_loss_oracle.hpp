// Judges a directory as a start finds it after a power loss, against what the test wrote and what was acknowledged.
#pragma once

#include <algorithm>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "segment/log_reader.hpp"
#include "segment/recovery.hpp"
#include "segment/verify.hpp"
#include "support/log_builder.hpp"

namespace fastlogd::test {

/// The log as it should be: record n reads text(n). Any thread.
class PowerLossOracle {
 public:
  using Recover = std::function<Result<segment::RecoveryReport>(const std::string& directory)>;

  explicit PowerLossOracle(std::uint64_t segment_bytes) : segment_bytes_(segment_bytes) {}

  // What the test tells.

  /// Before record `sequence` is sent.
  void will_write(std::uint64_t sequence, std::string text) {
    const std::lock_guard lock(mutex_);
    FASTLOGD_CHECK(sequence == texts_.size() + 1);
    texts_.push_back(std::move(text));
  }
  void acknowledged(std::uint64_t sequence) {
    const std::lock_guard lock(mutex_);
    acknowledged_ = std::max(acknowledged_, sequence);
  }
  /// A sync has failed: those behind the acknowledged ones, up to this, may be there or not, for good.
  void refused(std::uint64_t sequence) {
    const std::lock_guard lock(mutex_);
    lost_.resize(std::max<std::size_t>(lost_.size(), sequence + 1));
    for (std::uint64_t i = acknowledged_ + 1; i <= sequence; ++i) lost_[i] = true;
  }
  /// A segment that ends with record `last` is about to be removed.
  void removed_up_to(std::uint64_t last) {
    const std::lock_guard lock(mutex_);
    removed_ = std::max(removed_, last);
  }
  /// A start has returned. What is in `directory` is durable; what is not (it has been judged) is lost for good.
  void started(const segment::RecoveryReport& report, const std::string& directory) {
    const std::lock_guard lock(mutex_);
    texts_.resize(report.next_sequence - 1);
    acknowledged_ = report.next_sequence - 1;
    lost_.assign(texts_.size() + 1, true);
    segment::LogItem item;
    auto reader = segment::LogReader::open(directory, segment::Access::pread);
    while (reader && reader->next(item) == segment::ReadStatus::item) {
      const std::uint64_t sequence = item.record.sequence.value;
      if (item.kind == segment::LogItem::Kind::record && sequence < lost_.size()) lost_[sequence] = false;
    }
  }
  [[nodiscard]] std::uint64_t next_sequence() const {
    const std::lock_guard lock(mutex_);
    return texts_.size() + 1;
  }

  // What the oracle says.

  /// What is wrong with `directory`, which it recovers and goes on to write; empty: nothing.
  [[nodiscard]] std::string judge(const std::string& directory, const Recover& recover) const {
    const std::lock_guard lock(mutex_);
    if (auto wrong = judge_names(directory); !wrong.empty()) return wrong;
    if (auto wrong = read(directory, false); !wrong.empty()) return "P6, before recovery: " + wrong;
    const auto first = recover(directory);
    if (!first) return "recovery failed: " + first.error().message();
    const auto second = recover(directory);
    if (!second) return "the second recovery failed: " + second.error().message();
    if (auto wrong = compare(*first, *second); !wrong.empty()) return "P4: " + wrong;
    for (const auto& note : first->notes) {
      if (note.text.find("acknowledged data is damaged") != std::string::npos) return "P2: " + note.text;
    }
    if (first->next_sequence <= acknowledged_) {
      return fmt::format("P2: acknowledged up to {}, numbers go on at {}", acknowledged_,
                         first->next_sequence);
    }
    if (first->next_sequence > texts_.size() + 1) return "recovery invented records";
    go_on(directory, *second);
    const auto verified = segment::verify_directory(directory, {});
    if (!verified) return verified.error().message();
    for (const auto& finding : verified->findings) {
      if (finding.kind != segment::Finding::Kind::note)
        return fmt::format("P1: verify: {} at {}: {}", finding.file, finding.offset, finding.text);
    }
    return read(directory, true);
  }

 private:
  static constexpr int kNewRecords = 3;

  /// Whatever bears a segment's name has been prepared before it got it.
  [[nodiscard]] static std::string judge_names(const std::string& directory) {
    const auto indices = segment::list_segments(posix_file_system(), directory);
    if (!indices) return indices.error().message();
    for (const std::uint64_t index : *indices) {
      const auto opened = segment::open_segment(posix_file_system(), directory, index);
      if (!opened) return "P1: a segment without its header: " + opened.error().message();
    }
    return {};
  }

  [[nodiscard]] static std::string compare(const segment::RecoveryReport& first,
                                           const segment::RecoveryReport& second) {
    if (first.next_sequence != second.next_sequence) return "another next number";
    if (second.next_index > first.next_index) return "another next index";
    if (first.segments.size() != second.segments.size()) return "other segments";
    if (first.previous_uuid != second.previous_uuid) return "another newest segment";
    if (first.previous_end_offset != second.previous_end_offset) return "another end";
    return {};
  }

  /// As the appender does: gaps behind the first OPEN, then records.
  void go_on(const std::string& directory, const segment::RecoveryReport& report) const {
    LogBuilder log(directory, segment_bytes_);
    log.log_uuid = report.log_uuid;
    log.epoch = report.epoch;
    log.next_index = report.next_index;
    log.next_sequence = report.next_sequence;
    log.begin(LogPosition::of(report.next_index, 0));
    for (const segment::Gap& gap : report.gaps) FASTLOGD_CHECK(log.writer.append_gap(gap));
    log.add_records(kNewRecords, "new");
    log.seal();
  }

  [[nodiscard]] bool may_be_missing(std::uint64_t sequence) const {
    return sequence > acknowledged_ || sequence <= removed_ || (sequence < lost_.size() && lost_[sequence]);
  }

  /// `recovered`: everything acknowledged is there, every jump has its gap. Else only: nothing is wrong.
  [[nodiscard]] std::string read(const std::string& directory, bool recovered) const {
    auto reader = segment::LogReader::open(directory, segment::Access::pread);
    if (!reader) return acknowledged_ == 0 || !recovered ? "" : reader.error().message();
    segment::LogItem item;
    std::vector<bool> seen(texts_.size() + 1);
    std::uint64_t due = 0;
    segment::ReadStatus status{};
    while ((status = reader->next(item)) == segment::ReadStatus::item) {
      if (item.kind == segment::LogItem::Kind::gap) {
        // The oldest segment may begin with a GAP that tells of numbers before its own.
        due = item.gap.numbered() && due != 0 ? std::max(due, item.gap.last.value + 1) : 0;
        continue;
      }
      const std::uint64_t sequence = item.record.sequence.value;
      if (recovered && due != 0 && sequence != due)
        return fmt::format("P1: {} where {} was due", sequence, due);
      due = sequence + 1;
      if (recovered && item.record.message() == fmt::format("new {}", sequence)) continue;
      if (sequence > texts_.size() || item.record.message() != texts_[sequence - 1]) {
        return fmt::format("P3, P11: record {} is another", sequence);
      }
      seen[sequence] = true;
    }
    if (status == segment::ReadStatus::failed) return reader->error().message();
    for (std::uint64_t sequence = 1; recovered && sequence <= texts_.size(); ++sequence) {
      if (!seen[sequence] && !may_be_missing(sequence)) {
        return fmt::format("P2: record {} is missing, acknowledged up to {}", sequence, acknowledged_);
      }
    }
    return {};
  }

  const std::uint64_t segment_bytes_;
  mutable std::mutex mutex_;
  std::vector<std::string> texts_;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t removed_ = 0;
  std::vector<bool> lost_;  ///< by sequence; of earlier lives, or refused
};

}  // namespace fastlogd::test

// What follows from a plan: the gaps, the next numbers, and which records a file's fate concerns.
#include <algorithm>

#include <fmt/format.h>

#include "segment/recovery_plan.hpp"

namespace fastlogd::segment {
namespace {

class Conclusion {
 public:
  explicit Conclusion(const RecoveryPlan& plan) : plan_(plan) {}

  RecoveryReport run() {
    report_.log_uuid = plan_.log_uuid;
    report_.epoch = plan_.epoch;
    report_.next_index = plan_.next_index;
    for (const FilePlan& file : plan_.files) {
      if (!file.why.empty() && file.fate != Fate::remove)
        report_.notes.push_back({file.name, file.why, file.damage()});
      if (!file.trouble.empty()) report_.notes.push_back({file.name, file.trouble, true});
      if (file.damage()) report_.gaps.push_back(Gap{.reason = ingress::LossReason::damaged});
    }
    repeat_untold_gap();
    find_gaps();
    summarize();
    if (!is_in_doubt()) report_.clients = plan_.clients;
    return std::move(report_);
  }

 private:
  [[nodiscard]] bool is_in_doubt() const;
  [[nodiscard]] const FilePlan* newest() const;
  void repeat_untold_gap();
  void find_gaps();
  void find_gap_at_the_end(std::uint64_t& due);
  void add_gap(const std::string& file, Gap gap, const char* where);
  [[nodiscard]] bool is_known_gap(std::uint64_t first, std::uint64_t last) const;
  void summarize();

  const RecoveryPlan& plan_;
  RecoveryReport report_;
};

/// Something is missing, or may be: whose it was nobody knows, so that nobody may be told that it is there.
bool Conclusion::is_in_doubt() const {
  return !report_.gaps.empty() ||
         std::any_of(plan_.files.begin(), plan_.files.end(),
                     [](const FilePlan& file) { return file.stays() && !file.trouble.empty(); });
}

const FilePlan* Conclusion::newest() const {
  const auto last = std::find_if(plan_.files.rbegin(), plan_.files.rend(),
                                 [](const FilePlan& file) { return file.stays(); });
  return last == plan_.files.rend() ? nullptr : &*last;
}

/// A start that found damage at the log's end and died before it began a segment has told nobody.
void Conclusion::repeat_untold_gap() {
  const FilePlan* last = newest();
  const bool set_aside_behind = plan_.set_aside_index > (last != nullptr ? last->index : 0);
  const bool damaged_end =
      last != nullptr && last->fate == Fate::keep && last->trailer.state == TrailerState::damaged;
  if (set_aside_behind || damaged_end) report_.gaps.push_back(Gap{.reason = ingress::LossReason::damaged});
}

/// Several GAP frames may tell of it piecewise.
bool Conclusion::is_known_gap(std::uint64_t first, std::uint64_t last) const {
  for (std::uint64_t due = first; due <= last;) {
    const auto gap = std::find_if(plan_.known_gaps.begin(), plan_.known_gaps.end(), [due](const Gap& known) {
      return known.first.value <= due && known.last.value >= due;
    });
    if (gap == plan_.known_gaps.end()) return false;
    due = gap->last.value + 1;
  }
  return true;
}

void Conclusion::add_gap(const std::string& file, Gap gap, const char* where) {
  gap.reason = ingress::LossReason::damaged;
  gap.count = gap.last.value - gap.first.value + 1;
  report_.notes.push_back(
      {file, fmt::format("records {} to {} are missing {}", gap.first.value, gap.last.value, where), true});
  report_.gaps.push_back(gap);
}

void Conclusion::find_gaps() {
  std::uint64_t due = 0;  // 0: nothing is
  const FilePlan* before = nullptr;
  std::int64_t time_before = 0;
  for (const FilePlan& file : plan_.files) {
    if (!file.stays()) continue;
    const std::uint64_t first = file.trailer.first_sequence;
    if (before != nullptr && first > due && !is_known_gap(due, first - 1)) {
      add_gap(file.name,
              {.first = Sequence{due},
               .last = Sequence{first - 1},
               .from_ns = time_before,
               .to_ns = file.trailer.time_min_ns},
              file.index != before->index + 1 ? "before it (a segment is missing)" : "before it");
    }
    due = std::max({due, std::uint64_t{1}, file.trailer.last_sequence + 1});
    if (file.trailer.time_max_ns != 0) time_before = file.trailer.time_max_ns;
    before = &file;
  }
  find_gap_at_the_end(due);
  report_.next_sequence = due;
}

void Conclusion::find_gap_at_the_end(std::uint64_t& due) {
  const FilePlan* last = newest();
  std::uint64_t told = plan_.told_sequence;
  // A torn tail that the disk did not let be cut is damage only since then.
  if (last != nullptr && last->trailer.state == TrailerState::damaged)
    told = std::max(told, last->scan.told_sequence);
  due = std::max(due, std::uint64_t{1});
  if (told < due) return;
  const std::int64_t from_ns = last != nullptr ? last->trailer.time_max_ns : 0;
  add_gap(plan_.told_by.empty() ? last->name : plan_.told_by,
          {.first = Sequence{due}, .last = Sequence{told}, .from_ns = from_ns}, "at the log's end");
  due = told + 1;
}

void Conclusion::summarize() {
  report_.oldest = LogPosition::of(report_.next_index, kHeaderBytes);
  for (const FilePlan& file : plan_.files) {
    if (!file.stays()) continue;
    if (report_.segments.empty()) report_.oldest = LogPosition::of(file.index, kHeaderBytes);
    report_.segments.push_back(
        {.index = file.index,
         .disk_bytes = file.disk_bytes,
         .last_time_ns = file.trailer.time_max_ns != 0 ? file.trailer.time_max_ns : file.header.created_ns});
    report_.order.end(file.trailer);
    report_.previous_uuid = file.header.segment_uuid;
    report_.previous_end_offset = file.trailer.end_offset;
  }
}

}  // namespace

RecoveryReport conclude(const RecoveryPlan& plan) {
  return Conclusion(plan).run();
}

Gap affected_by(const RecoveryPlan& plan, const FilePlan& file) {
  Gap gap{.reason = ingress::LossReason::damaged};
  if (file.fate != Fate::cut && !file.damage()) return gap;
  const FilePlan* before = file.stays() ? &file : nullptr;
  const FilePlan* behind = nullptr;
  for (const FilePlan& other : plan.files) {
    if (!other.stays()) continue;
    if (other.index < file.index && !file.stays()) before = &other;
    if (other.index > file.index && behind == nullptr) behind = &other;
  }
  if (before != nullptr) {
    gap.first = Sequence{before->trailer.last_sequence + 1};
    gap.from_ns = before->trailer.time_max_ns;
  }
  if (behind != nullptr) {
    gap.last = Sequence{behind->trailer.first_sequence - 1};
    gap.to_ns = behind->trailer.time_min_ns;
  } else if (file.scan.told_sequence >= gap.first.value) {
    gap.last = Sequence{file.scan.told_sequence};
    gap.to_ns = file.scan.told_time_ns;
  }
  if (gap.first.value != 0 && gap.last.value >= gap.first.value)
    gap.count = gap.last.value - gap.first.value + 1;
  return gap;
}

}  // namespace fastlogd::segment

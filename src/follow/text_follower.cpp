#include "follow/text_follower.hpp"

#include <utility>

#include <fmt/format.h>

#include "base/thread_role.hpp"
#include "follow/log_line_source.hpp"

namespace fastlogd::follow {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kIdleWait{50};     // also the bound on how late stop() and new options are seen
constexpr milliseconds kRetryPause{100};  // after an error of the text file or the log
constexpr milliseconds kGatherPause{2};   // records that come one by one share a write
constexpr milliseconds kPauseStep{10};

}  // namespace

Result<bool> make_text_file(const TextFileOptions& options, FileSystem& files) {
  const bool was_there = files.status(options.path).has_value();
  const auto opened = TextFile::open(options.path, true, files);
  if (!opened) return opened.error();
  return !was_there;
}

TextFollower::TextFollower(FollowedStream stream, const SnapshotBox<TextFileOptions>& options,
                           TextFileCounters& counters, FileSystem& files)
    : stream_(std::move(stream)), options_(&options), counters_(&counters), files_(&files) {}

TextFollower::~TextFollower() {
  if (thread_.joinable()) (void)stop(std::chrono::steady_clock::now());
}

void TextFollower::start_held() {
  thread_ = std::thread([this] {
    held_.wait(true);
    run();
  });
}

void TextFollower::go() {
  held_.store(false);
  held_.notify_one();
}

bool TextFollower::stop(std::chrono::steady_clock::time_point deadline) {
  if (!thread_.joinable()) return drained_;
  deadline_ns_.store(deadline.time_since_epoch().count(), std::memory_order_relaxed);
  stopping_.store(true, std::memory_order_release);
  go();  // if it is still held, it finds that its time is over
  thread_.join();
  return drained_;
}

void TextFollower::run() {
  set_thread_name(fmt::format("fl-text-{}", stream_.name).substr(0, 15).c_str());
  if (const auto source = open_source()) follow(*source);
}

std::unique_ptr<LineSource> TextFollower::open_source() {
  diag::RateLimit limit;
  while (!give_up()) {
    auto opened = LogLineSource::open(stream_.directory, stream_.segment_bytes, *files_);
    if (opened) return std::move(*opened);
    counters_->failing.store(true, std::memory_order_relaxed);
    limit.log(diag::Level::warning, "stream {}: text file: can't open the log: {}", stream_.name,
              opened.error().message());
    pause(kRetryPause);
  }
  return nullptr;
}

void TextFollower::follow(LineSource& source) {
  TextWriter writer(stream_.name, stream_.directory + "/" + kCursorName, source, *counters_, *files_);
  SnapshotReader<TextFileOptions> options(*options_);
  while (!give_up()) {
    // Taken before the step: what was published before stop() is then seen by a step after it.
    const bool stopping = stopping_.load(std::memory_order_acquire);
    if (rotation_requested_.exchange(false, std::memory_order_relaxed)) writer.request_rotation();
    const TextWriter::Step step = writer.step(options.current());
    counters_->lag_bytes.store(writer.lag_bytes(), std::memory_order_relaxed);
    counters_->failing.store(step == TextWriter::Step::stuck, std::memory_order_relaxed);
    if (step == TextWriter::Step::worked) continue;
    if (step == TextWriter::Step::stuck) {
      pause(kRetryPause);
      continue;
    }
    if (stopping) {
      drained_ = true;
      return;
    }
    source.wait(kIdleWait);
    pause(kGatherPause);
  }
}

/// Sleeps, but not past the deadline of a stop.
void TextFollower::pause(std::chrono::nanoseconds time) const {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end && !give_up()) {
    std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(time, kPauseStep));
  }
}

bool TextFollower::give_up() const {
  return stopping_.load(std::memory_order_acquire) &&
         std::chrono::steady_clock::now().time_since_epoch().count() >=
             deadline_ns_.load(std::memory_order_relaxed);
}

}  // namespace fastlogd::follow

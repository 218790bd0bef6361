#include "client/reader.hpp"

#include <algorithm>
#include <cstring>

#include "segment/format.hpp"
#include "segment/payloads.hpp"

namespace fastlogd::client {
namespace {

using segment::FrameHeader;
using segment::GapPayload;
using segment::LogItem;
using segment::ReadStatus;

// What strangers overlay is what we write.
static_assert(sizeof(fastlog_frame_header) == sizeof(FrameHeader));
static_assert(offsetof(fastlog_frame_header, length) == offsetof(FrameHeader, commit));
static_assert(offsetof(fastlog_frame_header, sequence) == offsetof(FrameHeader, sequence));
static_assert(offsetof(fastlog_frame_header, receive_time_ns) == offsetof(FrameHeader, time_ns));
static_assert(offsetof(fastlog_frame_header, source) == offsetof(FrameHeader, source));
static_assert(offsetof(fastlog_frame_header, type) == offsetof(FrameHeader, type));
static_assert(offsetof(fastlog_frame_header, flags) == offsetof(FrameHeader, flags));
static_assert(offsetof(fastlog_frame_header, priority) == offsetof(FrameHeader, priority));
static_assert(offsetof(fastlog_frame_header, extension_words) == offsetof(FrameHeader, extension_words));
static_assert(sizeof(fastlog_gap) == sizeof(GapPayload));
static_assert(offsetof(fastlog_gap, to_ns) == offsetof(GapPayload, to_ns));
static_assert(sizeof(fastlog_record) == 192 && offsetof(fastlog_record, gap) == 128);
static_assert(sizeof(fastlog_reader_options) == 64 && sizeof(fastlog_reader_state) == 32);
static_assert(FASTLOG_FORMAT_MASK == RecordFlags::kFormatMask &&
              FASTLOG_TRUNCATED == RecordFlags::kTruncated && FASTLOG_MALFORMED == RecordFlags::kMalformed);
static_assert(FASTLOG_GAP_DURABILITY_UNKNOWN == static_cast<int>(ingress::LossReason::durability_unknown));
static_assert(FASTLOG_GAP_DAMAGED == static_cast<int>(ingress::LossReason::damaged));
static_assert(FASTLOG_TRANSPORT_INTERNAL == static_cast<int>(Transport::internal));
static_assert(FASTLOG_NO_TIME == kNoTime && FASTLOG_UNKNOWN_ID == kUnknownId);

constexpr std::size_t kCopiesBytes = limits::kMiB;
static_assert(kCopiesBytes >= segment::kFrameBytesMax);

/// A daemon that was killed wakes nobody: look again after that time.
constexpr std::chrono::milliseconds kWaitSlice{200};
/// How often one that never waits looks whether a daemon has come or gone.
constexpr std::chrono::milliseconds kLookInterval{10};

/// `kept`: the item's frame, or the copy of it.
void fill_record(const LogItem& item, const char* kept, fastlog_record& record) {
  const auto moved = [&](std::string_view view) {
    return view.empty() ? nullptr : kept + (view.data() - reinterpret_cast<const char*>(item.frame.data()));
  };
  const RecordView& from = item.record;
  record.priority = from.priority.value;
  record.flags = from.flags.bits;
  record.sequence = from.sequence.value;
  record.receive_time_ns = from.receive_time_ns;
  record.sender_time_ns = from.sender_time_ns;
  record.slice = moved(from.slice);
  record.slice_bytes = static_cast<std::uint32_t>(from.slice.size());
  record.message = moved(from.message());
  record.message_bytes = static_cast<std::uint32_t>(from.message().size());
  record.procid = moved(from.procid);
  record.procid_bytes = static_cast<std::uint8_t>(from.procid.size());
  record.msgid = moved(from.msgid);
  record.msgid_bytes = static_cast<std::uint8_t>(from.msgid.size());
}

/// The names are the hold's, however the segment is read.
void fill_source(const SourceView& from, fastlog_record& record) {
  record.transport = static_cast<std::uint8_t>(from.transport);
  record.host = from.host.data();
  record.host_bytes = static_cast<std::uint8_t>(from.host.size());
  record.identifier = from.identifier.data();
  record.identifier_bytes = static_cast<std::uint32_t>(from.identifier.size());
  record.uid = from.uid;
  record.gid = from.gid;
  record.pid = from.pid;
}

}  // namespace

Result<Reader> Reader::open(const std::string& directory, const fastlog_reader_options& options) {
  const bool copy = (options.flags & FASTLOG_READER_COPY) != 0;
  const auto access = copy ? segment::Access::pread : segment::Access::mapped;
  auto log = segment::LogReader::open(directory, access);
  if (!log) return log.error();
  Reader reader(std::move(*log), access);
  if (copy) reader.copies_.resize(kCopiesBytes);
  if (auto started = reader.start_at(options); !started) return started.error();
  return reader;
}

Result<> Reader::start_at(const fastlog_reader_options& options) {
  Result<> done;
  switch (options.from) {
    case FASTLOG_FROM_END:
      log_.seek_end();
      break;
    case FASTLOG_FROM_SEQUENCE:
      done = log_.seek_sequence(Sequence{options.sequence});
      break;
    case FASTLOG_FROM_TIME:
      done = log_.seek_time(options.time_ns);
      break;
    case FASTLOG_FROM_POSITION:
      if (options.position == 0) return done;
      done = log_.seek(LogPosition{options.position}, Sequence{options.sequence});
      break;
    default:
      return done;
  }
  if (log_.position().segment() != 0) position_ = log_.position();  // else there is no segment yet
  return done;
}

Result<std::size_t> Reader::poll(fastlog_record* out, std::size_t max, std::chrono::milliseconds timeout) {
  held_.clear();
  copied_ = 0;
  log_.recheck();
  std::optional<Clock::time_point> deadline;
  if (timeout.count() > 0) deadline = Clock::now() + timeout;
  for (;;) {
    auto taken = take(out, max);
    if (!taken || *taken != 0) return taken;
    if (timeout.count() == 0) {
      const auto now = Clock::now();
      if (now - looked_ < kLookInterval) return taken;
      looked_ = now;
      log_.wait(std::chrono::nanoseconds(0));
      return take(out, max);
    }
    if (!wait(deadline)) return taken;
  }
}

/// What there is. An error behind something read is for the next call.
Result<std::size_t> Reader::take(fastlog_record* out, std::size_t max) {
  std::size_t count = 0;
  LogItem item;
  while (count < max) {
    if (copies() && copies_.size() - copied_ < segment::kFrameBytesMax) break;
    const ReadStatus status = log_.next(item);
    if (status == ReadStatus::failed && count == 0) return log_.error();
    if (status != ReadStatus::item) break;
    fill(item, out[count++]);
    position_ = item.next;
  }
  return count;
}

/// False: the time is over.
bool Reader::wait(std::optional<Clock::time_point> deadline) {
  std::chrono::nanoseconds slice = kWaitSlice;
  if (deadline) {
    const auto left = *deadline - Clock::now();
    if (left <= left.zero()) return false;
    slice = std::min<std::chrono::nanoseconds>(slice, left);
  }
  log_.wait(slice);
  return true;
}

void Reader::hold(std::uint64_t segment) {
  const Hold& now = log_.hold();
  if (now && (held_.empty() || held_.back().hold != now)) held_.push_back({.segment = segment, .hold = now});
}

/// A frame that stays where it is until the next poll.
const std::byte* Reader::keep(std::span<const std::byte> frame) {
  if (!copies()) return frame.data();
  std::byte* const to = copies_.data() + copied_;
  std::memcpy(to, frame.data(), frame.size());
  copied_ += segment::padded(frame.size());
  return to;
}

void Reader::fill(const LogItem& item, fastlog_record& record) {
  record = {};
  record.position = item.position.value;
  record.next = item.next.value;
  const std::byte* const frame = item.frame.empty() ? nullptr : keep(item.frame);
  if (frame != nullptr) {
    record.frame = reinterpret_cast<const fastlog_frame_header*>(frame);
    hold(item.position.segment());
  }
  if (item.kind == LogItem::Kind::record) {
    record.kind = FASTLOG_KIND_RECORD;
    fill_source(item.record.source, record);
    return fill_record(item, reinterpret_cast<const char*>(frame), record);
  }
  record.kind = FASTLOG_KIND_GAP;
  const GapPayload gap = segment::encode_gap(item.gap);
  std::memcpy(&record.gap, &gap, sizeof gap);
}

// --- pins ---

Reader::Pin* Reader::find_pin(std::uint64_t segment) {
  const auto found =
      std::find_if(pins_.begin(), pins_.end(), [&](const Pin& pin) { return pin.segment == segment; });
  return found == pins_.end() ? nullptr : &*found;
}

bool Reader::pin(std::uint64_t segment) {
  Pin* pin = find_pin(segment);
  const auto is_wanted = [&](const Held& held) { return held.segment == segment; };
  if (pin == nullptr) {
    if (std::none_of(held_.begin(), held_.end(), is_wanted)) return false;
    pin = &pins_.emplace_back(Pin{.segment = segment, .count = 0, .holds = {}});
  }
  // A segment that was opened again since is another mapping.
  for (const Held& held : held_) {
    if (!is_wanted(held) || std::find(pin->holds.begin(), pin->holds.end(), held.hold) != pin->holds.end())
      continue;
    pin->holds.push_back(held.hold);
  }
  ++pin->count;
  return true;
}

bool Reader::unpin(std::uint64_t segment) {
  Pin* const pin = find_pin(segment);
  if (pin == nullptr) return false;
  if (--pin->count == 0) pins_.erase(pins_.begin() + (pin - pins_.data()));
  return true;
}

fastlog_reader_state Reader::state() const {
  fastlog_reader_state state{};
  state.committed = log_.committed().value;
  state.durable = log_.durable().value;
  state.live = log_.live() ? 1 : 0;
  return state;
}

}  // namespace fastlogd::client

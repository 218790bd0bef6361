// Whatever a client sends and however it is cut into reads: every view lies inside the bytes received, within its limit
// and in order, numbers are dense, the tail stays bounded, and the cut does not change what is heard.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "record/structured_data.hpp"
#include "wire/native.hpp"

namespace {

using namespace fastlogd;
using namespace fastlogd::wire;
using Kind = NativeEvent::Kind;

void require(bool holds) {
  if (!holds) std::abort();
}

class Connection {
 public:
  explicit Connection(std::size_t limit) : decoder_(limit), limit_(limit) {}

  void read(std::string_view bytes) {
    if (failed_) return;
    tail_ += bytes;
    NativeEvent event;
    for (bool more = true; more && !failed_;) {
      more = decoder_.next(tail_, event);
      require(event.consumed <= tail_.size());
      if (more) hear(event);
      tail_.erase(0, event.consumed);
    }
    if (!failed_) require(tail_.size() <= decoder_.unfinished_bytes_max());
  }
  [[nodiscard]] const std::vector<std::string>& heard() const { return heard_; }

 private:
  void inside(std::string_view view, std::size_t bytes_max) const {
    require(view.size() <= bytes_max);
    require(view.empty() ||
            (view.data() >= tail_.data() && view.data() + view.size() <= tail_.data() + tail_.size()));
  }

  void hear(const NativeEvent& event) {
    std::string text = std::to_string(static_cast<int>(event.kind)) + ":";
    switch (event.kind) {
      case Kind::more:
        require(false);
        break;
      case Kind::hello:
        require(heard_.empty());
        inside(event.hello.identifier, limits::kIdentifierBytesMax);
        inside(event.hello.host, limits::kHostBytesMax);
        next_ = event.hello.first_number;
        text.append(event.hello.identifier).append("/").append(event.hello.host);
        break;
      case Kind::record:
        hear_record(event.record, text);
        break;
      case Kind::refused:
        require(event.number == next_++);
        text += std::to_string(static_cast<int>(event.refusal));
        break;
      case Kind::flush:
        require(event.number < next_ || shared_);
        [[fallthrough]];
      case Kind::ping:
        text += std::to_string(event.number);
        break;
      case Kind::share:
        require(next_ == decoder_.next_number() && !shared_);
        shared_ = true;
        if (event.number % 2 == 0) decoder_.records_are_shared();
        break;
      case Kind::bell:
        require(shared_);
        break;
      case Kind::error:
        require(event.error != NativeError::none && event.text[0] != '\0');
        failed_ = true;
        break;
    }
    heard_.push_back(std::move(text));
  }

  void hear_record(const NativeRecord& record, std::string& text) {
    require(record.number == next_++);
    require(record.priority.value <= kPriorityMax && record.wanted <= Wanted::synced);
    inside(record.slice, limit_);
    inside(record.identifier, limits::kIdentifierBytesMax);
    inside(record.procid, limits::kProcidBytesMax);
    inside(record.msgid, limits::kMsgidBytesMax);
    require(record.message_start <= record.slice.size());
    if (record.message_start > 0) require(structured_data_bytes(record.slice) > 0);
    text.append(record.identifier).append("/").append(record.slice);
    text += std::to_string(record.sender_time_ns) + std::to_string(static_cast<int>(record.wanted));
  }

  NativeDecoder decoder_;
  std::size_t limit_;
  std::uint64_t next_ = 1;
  std::string tail_;
  std::vector<std::string> heard_;
  bool failed_ = false;
  bool shared_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t limit = 64 + data[0];
  const std::size_t step = 1 + data[1] % 64;
  const std::string_view stream(reinterpret_cast<const char*>(data) + 2, size - 2);
  Connection whole(limit);
  whole.read(stream);
  Connection pieces(limit);
  for (std::size_t at = 0; at < stream.size(); at += step) pieces.read(stream.substr(at, step));
  require(whole.heard() == pieces.heard());
  return 0;
}

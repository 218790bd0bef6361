// Whatever a peer sends and however it is cut into reads: every message lies inside the bytes received, within the
// limit and in order, the tail stays bounded, and the cut does not change what is heard.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "wire/stream_framer.hpp"

namespace {

using namespace fastlogd::wire;

void require(bool holds) {
  if (!holds) std::abort();
}

struct Heard {
  std::vector<std::string> messages;
  bool error = false;
};

class Peer {
 public:
  Peer(FramingMode mode, std::size_t limit, std::size_t slots)
      : framer_(mode, limit), limit_(limit), out_(slots) {}

  void read(std::string_view bytes) {
    if (heard_.error) return;
    tail_ += bytes;
    while (!heard_.error && keep(framer_.split(tail_, out_))) {
    }
    require(tail_.size() <= framer_.unfinished_bytes_max());
  }

  Heard end() {
    while (!tail_.empty() && !heard_.error) keep(framer_.finish(tail_, out_));
    return heard_;
  }

 private:
  bool keep(const FrameResult& result) {
    require(result.consumed <= tail_.size() && result.messages <= out_.size());
    std::size_t end = 0;
    for (std::size_t i = 0; i < result.messages; ++i) {
      const FramedMessage& message = out_[i];
      require(message.offset >= end && message.bytes <= limit_);
      end = std::size_t{message.offset} + message.bytes;
      require(end <= result.consumed);
      heard_.messages.push_back(tail_.substr(message.offset, message.bytes) +
                                (message.truncated ? "T" : "-") + (message.malformed ? "M" : "-"));
    }
    heard_.error = result.error != FrameError::none;
    tail_.erase(0, result.consumed);
    return result.messages == out_.size();
  }

  StreamFramer framer_;
  std::size_t limit_;
  std::vector<FramedMessage> out_;
  std::string tail_;
  Heard heard_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const auto mode = static_cast<FramingMode>(data[0] % 3);
  const std::size_t limit = 64 + data[1] % 64;
  const std::size_t step = 1 + data[2] % 32;
  const std::string_view stream(reinterpret_cast<const char*>(data) + 3, size - 3);

  Peer whole(mode, limit, 16);
  whole.read(stream);
  Peer pieces(mode, limit, 1 + data[2] % 3);
  for (std::size_t at = 0; at < stream.size(); at += step) pieces.read(stream.substr(at, step));
  const Heard expected = whole.end();
  const Heard actual = pieces.end();
  require(expected.error == actual.error);
  if (!expected.error)
    require(expected.messages == actual.messages);  // an error keeps what has been read by then
  return 0;
}

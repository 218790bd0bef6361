// Whatever a daemon answers: a reply never goes behind the bytes that are there, always consumes something, and what was
// broken with few bytes stays broken with more.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/limits.hpp"
#include "wire/native_client.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fastlogd;
  using namespace fastlogd::wire;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  NativeReply reply;
  std::size_t consumed = 0;
  while (read_reply(rest, reply, consumed) == ReplyStatus::message) {
    if (consumed == 0 || consumed > rest.size() || consumed > limits::kNativeReplyBytesMax) std::abort();
    if (!reply.text.empty() &&
        (reply.text.data() < rest.data() || reply.text.data() + reply.text.size() > rest.data() + consumed)) {
      std::abort();
    }
    NativeReply shorter;
    std::size_t ignored = 0;
    if (read_reply(rest.substr(0, consumed - 1), shorter, ignored) != ReplyStatus::more) std::abort();
    rest.remove_prefix(consumed);
  }
  const ReplyStatus last = read_reply(rest, reply, consumed);
  if (consumed != 0) std::abort();
  if (last == ReplyStatus::more && rest.size() >= limits::kNativeReplyBytesMax)
    std::abort();  // would wait for ever
  return 0;
}

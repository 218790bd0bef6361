// A verdict on a connection's first bytes never changes when more of them arrive, and is never owed for long.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "wire/first_bytes.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fastlogd::wire;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  FirstBytes verdict = FirstBytes::undecided;
  for (std::size_t read = 0; read <= size && read <= 2 * kFirstBytes; ++read) {
    const FirstBytes next = classify_first_bytes(bytes.substr(0, read));
    if (verdict != FirstBytes::undecided && next != verdict) std::abort();
    if (next == FirstBytes::undecided && read >= kFirstBytes) std::abort();
    verdict = next;
  }
  return 0;
}

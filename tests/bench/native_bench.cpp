// Reading BATCHes of records, against a bare walk over lengths in the same bytes and the parsing of the same messages as
// RFC 5424.
#include <array>
#include <cstring>
#include <string>

#include <benchmark/benchmark.h>

#include "base/limits.hpp"
#include "wire/native.hpp"
#include "wire/native_client.hpp"
#include "wire/stream_framer.hpp"
#include "wire/syslog.hpp"

namespace {

using namespace fastlogd;
using namespace fastlogd::wire;

constexpr std::size_t kRecords = 2000;
constexpr std::size_t kPerBatch = 100;
constexpr std::string_view kData = R"([req@1 id="4711" user="nobody"])";

/// 60 to 220 bytes, 140 on average, as in the HDFS logs.
std::string text_of(std::size_t i) {
  return std::string(60 + i * 37 % 161, 'x');
}

std::string batches(bool with_fields) {
  std::string out;
  append_hello(out, 1, "bench", "host");
  for (std::size_t first = 0; first < kRecords; first += kPerBatch) {
    NativeBatch batch(out, first + 1, Wanted::stored);
    for (std::size_t i = first; i < first + kPerBatch; ++i) {
      const std::string text = text_of(i);
      NativeMessage message{.priority = Priority{13}, .text = text};
      if (with_fields) {
        message.sender_time_ns = 1'700'000'000'000'000'000;
        message.procid = "4242";
        message.msgid = "REQ";
        message.structured_data = kData;
      }
      batch.add(message);
    }
    batch.finish();
  }
  return out;
}

void count(benchmark::State& state, const std::string& bytes) {
  const auto rounds = static_cast<std::int64_t>(state.iterations());
  state.SetItemsProcessed(rounds * static_cast<std::int64_t>(kRecords));
  state.SetBytesProcessed(rounds * static_cast<std::int64_t>(bytes.size()));
}

void decode(benchmark::State& state, const std::string& bytes) {
  for (auto _ : state) {
    NativeDecoder decoder(limits::kRecordBytesDefault);
    std::string_view rest = bytes;
    std::size_t records = 0;
    for (NativeEvent event; decoder.next(rest, event); rest.remove_prefix(event.consumed)) {
      records += event.kind == NativeEvent::Kind::record ? 1 : 0;
      benchmark::DoNotOptimize(event.record.slice);
    }
    if (records != kRecords) state.SkipWithError("wrong number of records");
  }
  count(state, bytes);
}

void native_plain(benchmark::State& state) {
  decode(state, batches(false));
}
void native_with_fields(benchmark::State& state) {
  decode(state, batches(true));
}

/// What can't be saved: one load of each record's length.
void lengths_alone(benchmark::State& state) {
  const std::string bytes = batches(false);
  for (auto _ : state) {
    std::size_t at = 8 + 16 + 16 + 16;  // magic, HELLO
    std::size_t records = 0;
    while (at < bytes.size()) {
      at += 24;
      for (std::size_t i = 0; i < kPerBatch; ++i, ++records) {
        std::uint32_t slice_bytes = 0;
        std::memcpy(&slice_bytes, bytes.data() + at, sizeof slice_bytes);
        at += (16 + slice_bytes + std::size_t{7}) & ~std::size_t{7};
      }
    }
    if (records != kRecords) state.SkipWithError("wrong number of records");
    benchmark::DoNotOptimize(at);
  }
  count(state, bytes);
}

void rfc5424_with_fields(benchmark::State& state) {
  std::string bytes;
  for (std::size_t i = 0; i < kRecords; ++i) {
    bytes += "<13>1 2023-11-14T22:13:20.000000Z host bench 4242 REQ " + std::string(kData) + ' ' +
             text_of(i) + '\n';
  }
  const ParseContext context(1'700'000'000'000'000'000, 0, false);
  std::array<FramedMessage, kRecords> messages;
  for (auto _ : state) {
    StreamFramer framer(FramingMode::lines, limits::kRecordBytesDefault);
    if (framer.split(bytes, messages).messages != kRecords) state.SkipWithError("wrong number of records");
    for (const FramedMessage& one : messages) {
      auto parsed = parse_message(std::string_view(bytes).substr(one.offset, one.bytes),
                                  MessageFormat::automatic, context);
      benchmark::DoNotOptimize(parsed);
    }
  }
  count(state, bytes);
}

BENCHMARK(lengths_alone);
BENCHMARK(native_plain);
BENCHMARK(native_with_fields);
BENCHMARK(rfc5424_with_fields);

}  // namespace

BENCHMARK_MAIN();

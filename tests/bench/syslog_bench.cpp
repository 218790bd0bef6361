// Header parsing per message. Goals: 60 ns for an RFC 3164 line, 100 ns for RFC 5424 with structured data.
#include <string_view>

#include <benchmark/benchmark.h>

#include "wire/syslog.hpp"

namespace {

using namespace fastlogd::wire;

void parse(benchmark::State& state, std::string_view message) {
  const ParseContext context(1'795'388'701'000'000'000, 3600, true);
  for (auto _ : state) {
    benchmark::DoNotOptimize(message);
    benchmark::DoNotOptimize(parse_message(message, MessageFormat::automatic, context));
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

BENCHMARK_CAPTURE(parse, raw,
                  "081109 203615 148 INFO dfs.DataNode$PacketResponder: PacketResponder 1 for block");
BENCHMARK_CAPTURE(parse, priority_only,
                  "<13>081109 203615 148 INFO dfs.DataNode$PacketResponder: PacketResponder 1");
BENCHMARK_CAPTURE(parse, rfc3164_local,
                  "<13>Nov 22 23:05:01 sshd[7170]: Invalid user webmaster from 173.234.31.186");
BENCHMARK_CAPTURE(parse, rfc3164_host,
                  "<13>Nov 22 23:05:01 vm sshd[7170]: Invalid user webmaster from 173.234.31.186");
BENCHMARK_CAPTURE(parse, rfc5424_nil, "<13>1 - - app - - - Invalid user webmaster from 173.234.31.186");
BENCHMARK_CAPTURE(
    parse, rfc5424_logger,
    "<13>1 2026-11-22T23:25:03.156173+00:00 vm root 812 - [timeQuality tzKnown=\"1\" isSynced=\"0\"] "
    "Invalid user webmaster from 173.234.31.186");

}  // namespace

BENCHMARK_MAIN();

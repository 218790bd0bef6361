// The load that `fastlogctl bench` makes: clients that send numbered records and time their acknowledgements.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "ctl/latency_histogram.hpp"
#include "ctl/message_sink.hpp"
#include "wire/native_format.hpp"

namespace fastlogd::ctl {

struct BenchOptions {
  SinkAddress address;
  unsigned clients = 1;
  std::uint64_t window = 1024;  ///< records of one client that may be unacknowledged
  std::uint64_t batch = 64;     ///< records of one BATCH, at most
  std::size_t record_bytes = 256;
  double rate = 0;            ///< records a second, of all clients; 0: as fast as the windows let
  std::uint64_t records = 0;  ///< 0: until `duration` is over
  std::chrono::nanoseconds duration = std::chrono::seconds(5);
  wire::Wanted ack = wire::Wanted::stored;
};

struct BenchResult {
  std::uint64_t sent = 0;
  std::uint64_t acknowledged = 0;
  std::uint64_t refused = 0;
  std::uint64_t lost_connections = 0;
  double seconds = 0;  ///< from the first record to the last acknowledgement
  /// From when a record was to be sent (with a rate: also if it had to wait) to when its acknowledgement was read.
  LatencyHistogram latency;
};

/// One thread polls all clients. Throws Failure if it can't connect.
[[nodiscard]] BenchResult run_bench(const BenchOptions& options);

}  // namespace fastlogd::ctl

// fastlogctl bench: how many records a second a running daemon takes, and how long its acknowledgements take.
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/limits.hpp"
#include "base/units.hpp"
#include "ctl/bench_load.hpp"
#include "ctl/commands.hpp"
#include "ctl/failure.hpp"
#include "ctl/sink_arguments.hpp"

namespace fastlogd::ctl {
namespace {

struct Percentile {
  const char* name;
  double share;
};
constexpr Percentile kPercentiles[] = {
    {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999}};

struct BenchArguments {
  SinkArguments sink;
  BenchOptions options;
  std::string ack = "stored";
  std::string duration = "5s";
  std::string size = "256";
  bool json = false;
};

std::string latency_text(std::uint64_t nanos) {
  return format_duration(std::chrono::nanoseconds(nanos));
}

void print_json(const BenchArguments& arguments, const BenchResult& result) {
  const auto per_second = [&](double n) { return result.seconds > 0 ? std::round(n / result.seconds) : 0; };
  std::string latency;
  for (const Percentile& one : kPercentiles) {
    latency += fmt::format("\"{}\":{},", one.name, result.latency.percentile(one.share));
  }
  fmt::print(
      "{{\"clients\":{},\"window\":{},\"batch\":{},\"record_bytes\":{},\"ack\":\"{}\",\"rate\":{},"
      "\"seconds\":{:.6f},\"sent\":{},\"acknowledged\":{},\"refused\":{},\"lost_connections\":{},"
      "\"records_per_second\":{:.0f},\"acknowledged_per_second\":{:.0f},\"bytes_per_second\":{:.0f},"
      "\"ack_latency_ns\":{{{}\"max\":{}}}}}\n",
      arguments.options.clients, arguments.options.window, arguments.options.batch,
      arguments.options.record_bytes, arguments.ack, arguments.options.rate, result.seconds, result.sent,
      result.acknowledged, result.refused, result.lost_connections,
      per_second(static_cast<double>(result.sent)), per_second(static_cast<double>(result.acknowledged)),
      per_second(static_cast<double>(result.sent * arguments.options.record_bytes)), latency,
      result.latency.max());
}

void print_text(const BenchArguments& arguments, const BenchResult& result) {
  const double seconds = result.seconds > 0 ? result.seconds : 1;
  const auto sent = static_cast<double>(result.sent);
  fmt::print("{} client(s), {} in flight each, {}-byte records, acknowledged as {}\n",
             arguments.options.clients, arguments.options.window, arguments.options.record_bytes,
             arguments.ack);
  fmt::print("sent          {} records in {:.3f} s: {:.0f} records/s, {:.1f} MB/s\n", result.sent,
             result.seconds, sent / seconds,
             sent * static_cast<double>(arguments.options.record_bytes) / seconds / 1e6);
  if (arguments.ack == "none") return;
  fmt::print("acknowledged  {}: {:.0f} records/s\n", result.acknowledged,
             static_cast<double>(result.acknowledged) / seconds);
  fmt::print("latency      ");
  for (const Percentile& one : kPercentiles) {
    fmt::print(" {} {}", one.name, latency_text(result.latency.percentile(one.share)));
  }
  fmt::print(" max {}\n", latency_text(result.latency.max()));
  if (result.refused > 0) fmt::print("refused       {}\n", result.refused);
}

ExitCode bench(BenchArguments& arguments) {
  const auto duration = parse_duration(arguments.duration);
  if (!duration) throw Failure(ExitCode::usage, duration.error().context);
  const auto size = parse_bytes(arguments.size);
  if (!size) throw Failure(ExitCode::usage, size.error().context);
  if (*size > limits::kRecordBytesMax) throw Failure(ExitCode::usage, "--size: no record is that large");
  BenchOptions& options = arguments.options;
  options.duration = *duration;
  options.record_bytes = static_cast<std::size_t>(*size);
  options.ack = arguments.ack == "none"     ? wire::Wanted::none
                : arguments.ack == "synced" ? wire::Wanted::synced
                                            : wire::Wanted::stored;
  options.batch =
      std::min({options.batch, options.window, (limits::kMiB - 64) / (options.record_bytes + 24)});
  options.address = sink_address(arguments.sink, SinkUse::acknowledged);
  const BenchResult result = run_bench(options);
  arguments.json ? print_json(arguments, result) : print_text(arguments, result);
  if (result.lost_connections > 0) {
    fmt::print(stderr, "fastlogctl: {} connection(s) ended early\n", result.lost_connections);
  }
  const bool complete = options.ack == wire::Wanted::none || result.acknowledged == result.sent;
  return complete && result.refused == 0 && result.lost_connections == 0 ? ExitCode::done
                                                                         : ExitCode::nothing_found;
}

}  // namespace

void add_bench(CLI::App& app, ExitCode& exit_code) {
  auto* command =
      app.add_subcommand("bench", "Send records to a running daemon and time its acknowledgements");
  auto arguments = std::make_shared<BenchArguments>();
  BenchOptions& options = arguments->options;
  add_sink_arguments(*command, arguments->sink);
  command->add_option("-c,--clients", options.clients, "Connections")
      ->check(CLI::Range(1U, 4096U))
      ->capture_default_str();
  command
      ->add_option("-w,--window", options.window,
                   "Records of one client that may wait for their acknowledgement")
      ->check(CLI::Range(1U, 1U << 20))
      ->capture_default_str();
  command->add_option("-b,--batch", options.batch, "Records sent together, at most")
      ->check(CLI::Range(1U, 1U << 16))
      ->capture_default_str();
  command->add_option("-s,--size", arguments->size, "Length of a record's text")
      ->type_name("SIZE")
      ->capture_default_str();
  command
      ->add_option("-r,--rate", options.rate, "Records a second, of all clients; 0: as fast as windows let")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str();
  command->add_option("-n,--records", options.records, "Send so many, instead of for a time")
      ->check(CLI::Range(std::uint64_t{1}, UINT64_MAX));
  command->add_option("-d,--duration", arguments->duration, "Send for so long")
      ->type_name("DURATION")
      ->capture_default_str();
  command->add_option("--ack", arguments->ack, "What is waited for")
      ->check(CLI::IsMember({"none", "stored", "synced"}))
      ->capture_default_str();
  command->add_flag("--json", arguments->json, "As JSON; times in nanoseconds");
  command->callback([arguments, &exit_code] { exit_code = bench(*arguments); });
}

}  // namespace fastlogd::ctl

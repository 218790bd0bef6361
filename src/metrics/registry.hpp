// What the stages count, as Prometheus text. The stages' plain counters are the truth and are read on scrape;
// nothing here is ever touched by the record path.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "append/append_counters.hpp"
#include "config/config_counters.hpp"
#include "follow/text_file_counters.hpp"
#include "ingest/ingest_counters.hpp"

namespace fastlogd::metrics {

/// The closed label set of everything a listener counts.
struct ListenerLabels {
  std::string listener;   ///< configured name
  std::string transport;  ///< unix-stream, unix-datagram, tcp, udp
  std::string stream;     ///< the stream it feeds
  friend auto operator<=>(const ListenerLabels&, const ListenerLabels&) = default;
};

/// What a stream really runs with, which may be less than what was asked for.
struct StreamMode {
  std::string durability;  ///< none, interval, group, dax
  std::string write;       ///< mapping, pwrite, dax
  std::string page_size;   ///< "4KiB", "2MiB"
};

/// What recovery had to say when the stream was opened; it does not change while the daemon runs.
struct StartFindings {
  std::uint64_t notes = 0;
  std::uint64_t damage_notes = 0;  ///< of them: something acknowledged or published may be missing
};

/// What every record received so far has become. received == stored + repeated + dropped + in_flight, always.
struct RecordBalance {
  std::uint64_t received = 0;
  std::uint64_t stored = 0;
  std::uint64_t repeated = 0;  ///< sent again by their client, and stored before
  std::uint64_t dropped = 0;
  std::uint64_t in_flight = 0;
};

/// Holds shares of the stages' counters: a listener that has been removed stays in the sums, so that the
/// equation of the records survives a reload. Any thread may call any method; a lock is held while adding and
/// while rendering.
class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  /// One call per ListenerCounters (a listener has one for each io thread). Adding the same counters again
  /// does nothing; counters with equal labels are added up.
  void add_listener(ListenerLabels labels, std::shared_ptr<const ingest::ListenerCounters> counters);
  /// `mode` is asked on every scrape.
  void add_stream(std::string stream, std::function<StreamMode()> mode,
                  std::shared_ptr<const append::AppendCounters> counters, StartFindings found = {});
  void add_text_file(std::string stream, std::shared_ptr<const follow::TextFileCounters> counters);
  void set_config(std::shared_ptr<const config::ConfigCounters> counters);

  /// The exposition in text format 0.0.4
  /// (https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format).
  [[nodiscard]] std::string render() const;
  static constexpr const char* kContentType = "text/plain; version=0.0.4; charset=utf-8";

  /// The same numbers a scrape would show.
  [[nodiscard]] RecordBalance balance() const;

 private:
  class Collector;
  std::unique_ptr<Collector> collector_;
};

}  // namespace fastlogd::metrics

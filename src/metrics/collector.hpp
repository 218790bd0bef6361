// Reads the stages' counters on scrape. Private to metrics/*.cpp.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "metrics/families.hpp"
#include "metrics/registry.hpp"

namespace fastlogd::metrics {

/// Everything the equation of the records needs, read in the one order that cannot show a record stored
/// before it was received: stored, repeated and dropped first, received last. A stage counts a record before it hands
/// it on (release on the ring, acquire here through Counter::value), so what is seen as stored is also seen
/// as received.
struct RecordTotals {
  std::vector<std::uint64_t> stored;    ///< per stream, in the order registered
  std::vector<std::uint64_t> repeated;  ///< likewise
  std::array<std::uint64_t, append::kDropReasons> dropped_appending{};  ///< by append::DropReason
  std::array<std::uint64_t, ingest::kDropReasons> dropped_receiving{};  ///< by ingest::DropReason
  std::vector<std::uint64_t> received;                                  ///< per listener entry

  [[nodiscard]] RecordBalance balance() const;
};

[[nodiscard]] Labels labels_of(const ListenerLabels& labels);

/// A scrape must not show one label set twice: counters of one listener on several io threads are added up.
using ByListener = std::map<ListenerLabels, std::int64_t>;
void append_by_listener(Family family, const ByListener& sums, Families& to);

class Registry::Collector {
 public:
  struct Listener {
    ListenerLabels labels;
    std::shared_ptr<const ingest::ListenerCounters> counters;
  };
  struct Stream {
    std::string name;
    std::function<StreamMode()> mode;
    std::shared_ptr<const append::AppendCounters> counters;
    StartFindings found;
  };
  struct TextFile {
    std::string stream;
    std::shared_ptr<const follow::TextFileCounters> counters;
  };

  [[nodiscard]] Families collect() const;
  [[nodiscard]] RecordTotals totals() const;

  mutable std::mutex mutex;  ///< guards everything below
  std::vector<Listener> listeners;
  std::vector<Stream> streams;
  std::vector<TextFile> text_files;
  std::shared_ptr<const config::ConfigCounters> config;

 private:
  [[nodiscard]] RecordTotals totals_locked() const;
  void collect_balance(Families& families) const;
  void collect_listeners(Families& families) const;
  void collect_connections(Families& families) const;
  template <std::size_t N, class Get>
  void append_by_reason(Family family, const std::array<const char*, N>& reasons, Get get,
                        Families& families) const;
  void collect_streams(Families& families) const;
  void collect_start_findings(Families& families) const;
  void collect_durability(Families& families) const;
  void collect_text_files(Families& families) const;
  void collect_config(Families& families) const;
};

}  // namespace fastlogd::metrics

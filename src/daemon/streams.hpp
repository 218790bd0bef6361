// All streams of the daemon: each a store and, if configured, a text file.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "append/stream_store.hpp"
#include "base/file_system.hpp"
#include "base/result.hpp"
#include "base/snapshot.hpp"
#include "config/config.hpp"
#include "daemon/health.hpp"
#include "daemon/vital_signs.hpp"
#include "follow/text_follower.hpp"
#include "ingest/front_end.hpp"
#include "metrics/registry.hpp"

namespace fastlogd::daemon {

/// As it is spelled in the configuration.
[[nodiscard]] const char* durability_name(append::DurabilityMode mode);

/// Main thread, except where said. Life: open, attach, start, (prepare, commit)*, stop.
class Streams {
 public:
  /// Opens and recovers every store, in the order of their names. Errors name the stream. `gave_up` is called, by any
  /// thread, when a stream whose durability.on_failure is stop can't keep its promise any more.
  [[nodiscard]] static Result<std::unique_ptr<Streams>> open(const config::Config& config, FileSystem& files,
                                                             metrics::Registry& metrics,
                                                             const std::function<void()>& gave_up);
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;
  ~Streams();

  /// Joins the rings of every io thread to the stores. Before start().
  void attach(ingest::FrontEnd& front_end);
  /// Starts the stores; readers and text files can follow them from here on.
  void start();

  /// The part of a reload that may fail: opens text files that are new. Nothing that runs is changed.
  [[nodiscard]] Result<> prepare(const config::Config& next);
  /// The part that can't: options take effect, prepared text files stay, removed ones end.
  void commit(const config::Config& next);
  /// Instead of commit().
  void discard();

  /// After the front end has stopped: stores what the rings hold, syncs and seals, then lets the text files catch up.
  /// Any one thread, if the main thread no longer uses the object meanwhile except for the read-only methods below.
  void stop(std::chrono::steady_clock::time_point deadline);

  /// nullptr if there is none of that name. The store's own comments say which thread may call what.
  [[nodiscard]] std::shared_ptr<append::StreamStore> find(std::string_view name) const;
  /// The stream goes on in a new segment and a new text file. False if there is none of that name.
  [[nodiscard]] bool rotate(std::string_view name);
  [[nodiscard]] std::vector<std::string> names() const;
  [[nodiscard]] std::vector<Condition::Stream> conditions() const;
  void observe(VitalSigns& signs, VitalSigns::Clock::time_point now) const;

  /// What the store really runs with.
  [[nodiscard]] static metrics::StartFindings findings(const append::StreamStore& store);
  [[nodiscard]] static metrics::StreamMode mode_in_force(const append::StoreStatus& status);

 private:
  struct TextFile;
  struct Stream;

  Streams(FileSystem& files, metrics::Registry& metrics);
  [[nodiscard]] Result<> make_text_file(const config::StreamConfig& stream);
  [[nodiscard]] Result<std::unique_ptr<TextFile>> start_text_file(const config::StreamConfig& stream);

  FileSystem& files_;
  metrics::Registry& metrics_;
  std::map<std::string, std::unique_ptr<Stream>, std::less<>> streams_;
  std::map<std::string, std::unique_ptr<TextFile>> prepared_;  ///< by stream; between prepare() and commit()
  std::vector<std::string> made_;                              ///< likewise: text files that were not there
};

}  // namespace fastlogd::daemon

// An appender's stand-in: takes entries from a FrontEnd's rings, sleeps as the real one does, remembers
// records.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ingest/front_end.hpp"
#include "record/ingress.hpp"

namespace fastlogd::ingest {

struct Collected {
  std::string slice;
  std::string host;
  std::string identifier;
  std::string procid;
  std::string msgid;
  Transport transport = Transport::unknown;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t pid = 0;
  std::uint32_t message_start = 0;
  unsigned thread = 0;
  std::uint8_t priority = 0;
  RecordFlags flags;
  std::uint64_t number = 0;  ///< the sender's own; 0: has none
};

/// Starts at once; the destructor takes what is left and ends the thread.
class Collector {
 public:
  Collector(FrontEnd& front_end, const std::string& stream) : rings_(front_end.rings(stream)) {
    signal_ = *ring::WakeSignal::create();
    front_end.set_data_signal(stream, *signal_);
    sources_.resize(rings_.size());
    thread_ = std::thread([this] { run(); });
  }
  ~Collector() { finish(); }

  /// While paused, the rings fill up.
  void pause(bool paused) {
    paused_ = paused;
    signal_->interrupt();
  }
  /// Only counts, doesn't remember: for tests that count allocations.
  void count_only() { count_only_ = true; }

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] bool wait_for(std::uint64_t records,
                              std::chrono::seconds limit = std::chrono::seconds(20)) const {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (count_ < records) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }
  [[nodiscard]] std::vector<Collected> records() const {
    const std::lock_guard lock(mutex_);
    return records_;
  }
  [[nodiscard]] std::vector<std::string> slices() const {
    std::vector<std::string> slices;
    for (const Collected& one : records()) slices.push_back(one.slice);
    return slices;
  }
  void finish() {
    if (!thread_.joinable()) return;
    ending_ = true;
    signal_->interrupt();
    thread_.join();
  }

 private:
  void run() {
    while (true) {
      const bool ending = ending_;
      if (drain_all() > 0) continue;
      if (ending) return;
      signal_->arm();
      if (!paused_ && any_data()) {
        signal_->disarm();
        continue;
      }
      signal_->wait(std::chrono::seconds(30));
      signal_->disarm();
    }
  }
  bool any_data() {
    for (const RingEnd& end : rings_) {
      if (end.ring->has_data()) return true;
    }
    return false;
  }
  std::size_t drain_all() {
    std::size_t taken = 0;
    for (unsigned i = 0; i < rings_.size() && (!paused_ || ending_); ++i) taken += drain(i);
    return taken;
  }
  std::size_t drain(unsigned index) {
    ring::ByteRing& ring = *rings_[index].ring;
    const auto bytes = ring.peek();
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ingress::EntryView entry(bytes.subspan(done));
      take(entry, index);
      done += entry.entry_bytes();
    }
    if (done > 0) {
      ring.release(done);
      ring.publish_space();
      rings_[index].space->notify();
    }
    return done;
  }
  void take(const ingress::EntryView& entry, unsigned index) {
    if (!count_only_) {
      const std::lock_guard lock(mutex_);
      if (entry.header().kind == ingress::EntryKind::source_definition) {
        const SourceView source = entry.source();
        sources_[index][entry.source_slot()] = Collected{.host = std::string(source.host),
                                                         .identifier = std::string(source.identifier),
                                                         .transport = source.transport,
                                                         .uid = source.uid,
                                                         .gid = source.gid,
                                                         .pid = source.pid};
        ++definitions_;
        return;
      }
      const Numbering numbering = entry.numbering();
      for (std::size_t i = 0; const ingress::Descriptor& descriptor : entry.descriptors()) {
        remember(entry, descriptor, index);
        if (!numbering.client.is_none()) records_.back().number = numbering.first + i++;
      }
    }
    if (entry.is_block()) count_ += entry.header().descriptor_count;
  }
  void remember(const ingress::EntryView& entry, const ingress::Descriptor& descriptor, unsigned index) {
    Collected record = sources_[index].at(descriptor.source_slot);
    const char* slice = entry.payload() + descriptor.slice_offset;
    record.slice.assign(slice, descriptor.slice_bytes);
    record.procid.assign(slice - descriptor.procid_back, descriptor.procid_bytes);
    record.msgid.assign(slice - descriptor.msgid_back, descriptor.msgid_bytes);
    record.message_start = descriptor.message_start;
    record.priority = descriptor.priority.value;
    record.flags = descriptor.flags;
    record.thread = index;
    records_.push_back(std::move(record));
  }

  std::vector<RingEnd> rings_;
  std::unique_ptr<ring::WakeSignal> signal_;
  std::vector<std::map<std::uint32_t, Collected>> sources_;
  mutable std::mutex mutex_;
  std::vector<Collected> records_;
  std::uint64_t definitions_ = 0;
  std::atomic<std::uint64_t> count_{0};
  std::atomic<bool> paused_{false};
  std::atomic<bool> ending_{false};
  std::atomic<bool> count_only_{false};
  std::thread thread_;
};

}  // namespace fastlogd::ingest

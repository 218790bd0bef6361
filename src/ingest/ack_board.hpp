// The connections of one io thread and stream that wait to acknowledge, and what their ring's appender says.
#pragma once

#include <cstdint>
#include <vector>

#include "record/progress.hpp"

namespace fastlogd::ingest {

/// A connection that wants to know. Thread: its io thread.
class AckListener {
 public:
  virtual ~AckListener() = default;

  /// `synced` is null while nobody says what is on disk. It may end itself, nothing else.
  virtual void progressed(const RingPoint& point, const RingProgress& ring, const StreamProgress* synced) = 0;
  /// It has something to tell its peer that only progress can bring.
  [[nodiscard]] virtual bool waits_for_progress() const = 0;

 private:
  friend class AckBoard;
  bool waiting_ = false;
};

/// Looks at the watermarks once per cycle, tells those who wait what is new, and lets go of dropped ranges that all have
/// seen. Connections that wait for nothing cost nothing, but for a failed sync, which everybody is told. Thread: its io
/// thread.
class AckBoard {
 public:
  /// `ring` outlives the board.
  explicit AckBoard(RingProgress& ring) : ring_(&ring) {}

  /// Before the thread runs. The stream's, outlives it.
  void set_stream_progress(const StreamProgress& stream) { stream_ = &stream; }
  void join(AckListener& listener);
  void leave(AckListener& listener);
  /// After the listener has put something into the ring, or wants more than before; before the next deliver().
  void wait(AckListener& listener);
  /// What the next record to be put into the ring comes behind.
  [[nodiscard]] RingPoint now() const { return ring_->point(); }

  /// True if there was something new.
  bool deliver();
  [[nodiscard]] bool anybody_waits() const { return !waiting_.empty(); }
  /// The sleeper's re-check after WakeSignal::arm(): deliver() has something to tell.
  [[nodiscard]] bool moved() const;

 private:
  RingProgress* ring_;
  const StreamProgress* stream_ = nullptr;
  std::vector<AckListener*> listeners_;
  std::vector<AckListener*> waiting_;  ///< some of them; has room for all, so that waiting allocates nothing
  std::uint64_t seen_ring_ = 0;
  std::uint64_t seen_durable_ = 0;
  std::uint64_t seen_failures_ = 0;
};

}  // namespace fastlogd::ingest

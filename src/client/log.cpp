#include "client/log.hpp"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <utility>

namespace fastlogd::client {
namespace {

/// All logs of the process, for threads that end and for fork. Never destroyed: threads may end after main.
struct Registry {
  std::mutex mutex;
  std::vector<Log*> logs;

  static Registry& instance() {
    static Registry* const registry = make();
    return *registry;
  }
  Log* find(std::uint64_t id) const {
    const auto found =
        std::find_if(logs.begin(), logs.end(), [id](const Log* log) { return log->id() == id; });
    return found == logs.end() ? nullptr : *found;
  }

 private:
  static Registry* make();
};

/// Handlers of atexit(3), static objects and other thread-locals are ended behind ThreadEnd, and may log. No destructor: it
/// is there as long as its thread.
constinit thread_local bool thread_has_ended = false;

void cache(const Seat* seat) {
  Log::cached_.store(seat, std::memory_order_release);  // what it says is there before it
}

/// What a thread has to give back when it ends. A list, which its signal handlers find whole at every moment.
class ThreadEnd {
 public:
  ThreadEnd() = default;
  ThreadEnd(const ThreadEnd&) = delete;
  ThreadEnd& operator=(const ThreadEnd&) = delete;
  ~ThreadEnd() {
    cache(&kNobodys);
    thread_has_ended = true;
    Registry& registry = Registry::instance();
    const std::lock_guard lock(registry.mutex);
    for (const Seat* seat = first_; seat != nullptr; seat = seat->next) {
      if (Log* log = registry.find(seat->log)) log->release(seat->producer);
    }
    let_go([](const Seat&) { return true; });
  }

  [[nodiscard]] const Seat* find(std::uint64_t log) const {
    const Seat* seat = first_;
    while (seat != nullptr && seat->log != log) seat = seat->next;
    return seat;
  }
  const Seat* take(std::unique_ptr<Seat> seat) {
    seat->next = first_;
    std::atomic_signal_fence(std::memory_order_release);
    first_ = seat.release();
    return first_;
  }
  template <class Which>
  void let_go(Which which) {
    Seat* volatile* at = &first_;
    while (Seat* const seat = *at) {
      if (!which(*seat)) {
        at = &seat->next;
        continue;
      }
      if (Log::cached_.load(std::memory_order_relaxed) == seat) cache(&kNobodys);
      *at = seat->next;
      delete seat;
    }
  }

 private:
  Seat* volatile first_ = nullptr;
};
thread_local ThreadEnd thread_end;

/// What was taken of logs that are closed goes.
void let_closed_go() {
  Registry& registry = Registry::instance();
  const std::lock_guard lock(registry.mutex);
  thread_end.let_go([&](const Seat& seat) { return registry.find(seat.log) == nullptr; });
}

/// For a thread whose list has been ended: of more than the last few logs it takes no notice.
const Seat* take_late(std::uint64_t log, Producer* producer) {
  static constinit thread_local std::array<Seat, 4> seats{};
  static constinit thread_local std::size_t taken = 0;
  cache(&kNobodys);
  Seat& seat = seats[taken++ % seats.size()];
  seat = {.log = log, .producer = producer};
  return &seat;
}

// A child gets a copy of every lock as it was: so all are held while it is made.
void before_fork() {
  Registry& registry = Registry::instance();
  registry.mutex.lock();
  for (Log* log : registry.logs) log->lock();
}
void in_parent() {
  Registry& registry = Registry::instance();
  for (Log* log : registry.logs) log->unlock();
  registry.mutex.unlock();
}
void in_child() {
  Registry& registry = Registry::instance();
  cache(&kNobodys);
  if (!thread_has_ended) thread_end.let_go([](const Seat&) { return true; });
  for (Log* log : registry.logs) {
    log->forget_parent();
    log->unlock();
  }
  registry.mutex.unlock();
}

Registry* Registry::make() {
  ::pthread_atfork(before_fork, in_parent, in_child);
  return new Registry;
}

std::uint64_t next_id() {
  static std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

constexpr std::chrono::milliseconds kFirstConnect{2000};
constexpr std::chrono::milliseconds kFirstConnectOfWhoDrops{100};

/// How long a thread's first call may wait for a daemon that holds its socket and does not answer.
std::chrono::milliseconds first_connect(const Settings& settings) {
  if (settings.drops()) return kFirstConnectOfWhoDrops;
  if (settings.wait_ms_max == 0) return kFirstConnect;
  return std::min(kFirstConnect, std::chrono::milliseconds(settings.wait_ms_max));
}

/// Producers whose threads have ended, and whose places this one takes meanwhile.
class Places {
 public:
  Places() = default;
  Places(const Places&) = delete;
  Places& operator=(const Places&) = delete;
  ~Places() {
    for (const auto& producer : taken_) producer->leave();
  }
  void reserve(std::size_t count) { taken_.reserve(count); }
  /// Not those that another thread is flushing already. Never more than were reserved.
  void take(const std::shared_ptr<Producer>& producer) {
    if (producer->take_place()) taken_.push_back(producer);
  }

 private:
  std::vector<std::shared_ptr<Producer>> taken_;
};

}  // namespace

constinit thread_local std::atomic<const Seat*> Log::cached_{&kNobodys};

Log::Log(Settings settings) : settings_(std::move(settings)), id_(next_id()) {
  Registry& registry = Registry::instance();
  const std::lock_guard lock(registry.mutex);
  registry.logs.push_back(this);
}

Log::~Log() {
  Registry& registry = Registry::instance();
  const std::lock_guard lock(registry.mutex);
  std::erase(registry.logs, this);
}

Producer* Log::mine_if_any() {
  const Seat* seat = cached_.load(std::memory_order_relaxed);
  if (seat->log == id_) return seat->producer;
  seat = thread_has_ended ? nullptr : thread_end.find(id_);
  if (seat == nullptr) return nullptr;
  cache(seat);
  return seat->producer;
}

Producer* Log::find_or_make() {
  if (Producer* const found = mine_if_any()) return found;
  return make(first_connect(settings_));
}

Producer* Log::open() {
  return make(kFirstConnect);
}

Producer* Log::make(std::chrono::milliseconds wait) {
  auto made = std::make_shared<Producer>(settings_);
  Producer* const producer = made.get();
  producer->connect(std::chrono::steady_clock::now() + wait);
  std::unique_ptr<Seat> seat;  // of a thread that has ended it stays until the log is closed
  if (!thread_has_ended) {
    let_closed_go();
    seat = std::make_unique<Seat>(Seat{.log = id_, .producer = producer});
  }
  // The rest is done as a whole, or not at all.
  const std::lock_guard lock(mutex_);
  forget_drained();
  left_over_.reserve(left_over_.size() + producers_.size() + 1);  // a thread that ends has nobody to tell
  producers_.push_back(std::move(made));
  cache(seat ? thread_end.take(std::move(seat)) : take_late(id_, producer));
  return producer;
}

int Log::flush(int level, Deadline deadline) {
  std::vector<std::shared_ptr<Producer>> all;  // kept alive: nobody else waits for this one's waiting
  Places places;
  {
    const std::lock_guard lock(mutex_);
    forget_drained(level);  // else a flush to disk would not wait for what is stored alone
    all = producers_;
    all.insert(all.end(), left_over_.begin(), left_over_.end());
    places.reserve(left_over_.size());
    for (const auto& producer : left_over_) places.take(producer);
  }
  int result = FASTLOG_OK;
  bool refused = false;
  for (const auto& producer : all) {
    const int one = producer->flush(level, deadline);
    refused = refused || one == FASTLOG_ERROR_REFUSED;
    if (one != FASTLOG_OK && one != FASTLOG_ERROR_REFUSED) result = one;
  }
  const std::lock_guard lock(mutex_);
  to_say_ =
      to_say_ || refused;  // a producer says it once: where something else is said, the next flush says it
  if (result != FASTLOG_OK) return result;
  return std::exchange(to_say_, false) ? FASTLOG_ERROR_REFUSED : FASTLOG_OK;
}

fastlog_counts Log::counts() {
  const std::lock_guard lock(mutex_);
  forget_drained();
  fastlog_counts counts{};
  counts.written = written_before_;
  counts.dropped = dropped_before_ + dropped_homeless_.load(std::memory_order_relaxed);
  for (const auto* list : {&producers_, &left_over_}) {
    for (const auto& producer : *list) {
      counts.written += producer->written();
      counts.dropped += producer->dropped();
      counts.threads += 1;
      counts.shared += producer->shares() ? 1 : 0;
    }
  }
  return counts;
}

bool Log::finish(Deadline deadline) {
  const std::lock_guard lock(mutex_);
  bool all = true;
  for (const auto* list : {&producers_, &left_over_}) {
    for (const auto& producer : *list) all = producer->finish(deadline) && all;
  }
  return all;
}

void Log::release(Producer* producer) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(producers_.begin(), producers_.end(),
                                  [producer](const auto& one) { return one.get() == producer; });
  if (found == producers_.end()) return;
  producer->leave();
  left_over_.push_back(std::move(*found));
  producers_.erase(found);
  forget_drained();
}

/// With the lock.
void Log::forget_drained(int level) {
  std::erase_if(left_over_, [this, level](const std::shared_ptr<Producer>& producer) {
    if (!producer->is_drained(level, to_say_)) return false;
    written_before_ += producer->written();
    dropped_before_ += producer->dropped();
    return true;
  });
}

/// Not destroyed: a lock of theirs may be held by a thread that is not here.
void Log::forget_parent() {
  for (auto* list : {&producers_, &left_over_}) {
    for (const auto& producer : *list) producer->abandon();
    static_cast<void>(new std::vector<std::shared_ptr<Producer>>(std::move(*list)));
    list->clear();
  }
  written_before_ = dropped_before_ = 0;
  to_say_ = false;
  dropped_homeless_ = 0;
}

}  // namespace fastlogd::client

#include "ctl/bench_load.hpp"

#include <poll.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <memory>
#include <vector>

#include "base/clock.hpp"
#include "base/limits.hpp"
#include "ctl/native_connection.hpp"

namespace fastlogd::ctl {
namespace {

constexpr std::int64_t kLastWordNanos = 30 * kNanosPerSecond;  // for what is on its way when the time is over

/// Records of one client that lie next to one another and were due at the same time.
struct InFlight {
  std::uint64_t last;
  std::int64_t due_ns;
};

class Client {
 public:
  Client(const BenchOptions& options, BenchResult& result)
      : options_(options),
        result_(result),
        connection_(options.address, "fastlogctl-bench", ""),
        text_(options.record_bytes, 'x') {}

  [[nodiscard]] NativeConnection& connection() { return connection_; }
  [[nodiscard]] std::uint64_t room() const {
    return options_.ack == wire::Wanted::none ? options_.window : options_.window - (sent_ - acknowledged_);
  }
  [[nodiscard]] bool open() const { return open_; }
  [[nodiscard]] bool settled() const {
    return !open_ || (connection_.unwritten_bytes() == 0 &&
                      (options_.ack == wire::Wanted::none || acknowledged_ >= sent_));
  }

  void send(std::uint64_t records, std::int64_t due_ns) {
    wire::NativeBatch batch(connection_.out(), sent_ + 1, options_.ack);
    const wire::NativeMessage message{.priority = Priority{14}, .text = text_};
    for (std::uint64_t i = 0; i < records; ++i) batch.add(message);
    batch.finish();
    sent_ += records;
    result_.sent += records;
    if (options_.ack != wire::Wanted::none) in_flight_.push_back({sent_, due_ns});
  }

  void exchange() {
    open_ = connection_.write_some() &&
            connection_.read_some([this](const wire::NativeReply& reply) { take(reply); });
    if (!open_) ++result_.lost_connections;
  }

 private:
  void take(const wire::NativeReply& reply) {
    if (reply.type == wire::NativeType::refused) result_.refused += reply.last - reply.number + 1;
    if (reply.type != wire::NativeType::ack) return;
    const std::int64_t now = monotonic_ns();
    const std::uint64_t up_to = options_.ack == wire::Wanted::synced ? reply.synced : reply.stored;
    while (!in_flight_.empty() && acknowledged_ < up_to) {
      const std::uint64_t last = std::min(up_to, in_flight_.front().last);
      result_.latency.add(now - in_flight_.front().due_ns, last - acknowledged_);
      result_.acknowledged += last - acknowledged_;
      acknowledged_ = last;
      if (last == in_flight_.front().last) in_flight_.pop_front();
    }
  }

  const BenchOptions& options_;
  BenchResult& result_;
  NativeConnection connection_;
  std::string text_;
  std::deque<InFlight> in_flight_;
  std::uint64_t sent_ = 0;
  std::uint64_t acknowledged_ = 0;
  bool open_ = true;
};

class Bench {
 public:
  explicit Bench(const BenchOptions& options) : options_(options) {
    for (unsigned i = 0; i < options.clients; ++i) {
      clients_.push_back(std::make_unique<Client>(options_, result_));
    }
    fds_.resize(clients_.size());
  }

  BenchResult run() {
    began_ns_ = monotonic_ns();
    const std::int64_t end_ns = options_.records > 0 ? INT64_MAX : began_ns_ + options_.duration.count();
    bool sending = true;
    std::int64_t give_up_ns = INT64_MAX;
    while (sending || !settled()) {
      const std::int64_t now = monotonic_ns();
      if (now > give_up_ns) break;
      if (sending && (now >= end_ns || all_sent() || !any_open())) {
        sending = false;
        give_up_ns = now + kLastWordNanos;
      }
      if (sending) offer(now);
      wait(sending);
    }
    result_.seconds = static_cast<double>(monotonic_ns() - began_ns_) / kNanosPerSecond;
    return std::move(result_);
  }

 private:
  [[nodiscard]] bool settled() const {
    return std::all_of(clients_.begin(), clients_.end(),
                       [](const auto& client) { return client->settled(); });
  }
  [[nodiscard]] bool any_open() const {
    return std::any_of(clients_.begin(), clients_.end(), [](const auto& client) { return client->open(); });
  }
  [[nodiscard]] bool all_sent() const { return options_.records > 0 && result_.sent >= options_.records; }
  [[nodiscard]] std::uint64_t left() const {
    return options_.records > 0 ? options_.records - result_.sent : UINT64_MAX;
  }
  /// When a record is to be sent if there is a rate.
  [[nodiscard]] std::int64_t due_ns(std::uint64_t record) const {
    return began_ns_ +
           static_cast<std::int64_t>(static_cast<double>(record) / options_.rate * kNanosPerSecond);
  }

  /// Gives every client what is due and fits its window, one BATCH a turn.
  void offer(std::int64_t now) {
    for (std::size_t turn = 0; turn < clients_.size(); ++turn, ++next_) {
      Client& client = *clients_[next_ % clients_.size()];
      if (!client.open() || client.connection().unwritten_bytes() > limits::kMiB) continue;
      std::uint64_t records = std::min({client.room(), options_.batch, left()});
      std::int64_t due = now;
      if (options_.rate > 0) {
        const double due_by_now = static_cast<double>(now - began_ns_) * options_.rate / kNanosPerSecond;
        const auto behind =
            static_cast<std::uint64_t>(std::max(due_by_now - static_cast<double>(result_.sent), 0.0));
        records = std::min(records, behind);
        due = due_ns(result_.sent);
      }
      if (records > 0) client.send(records, due);
      if (all_sent()) return;
    }
  }

  void wait(bool sending) {
    bool may_send = false;
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      Client& client = *clients_[i];
      const bool writes = client.connection().unwritten_bytes() > 0;
      if (client.open() && writes) client.exchange();  // most of the time the socket takes it at once
      const bool blocked = client.connection().unwritten_bytes() > 0;
      fds_[i] = {client.open() ? client.connection().fd() : -1,
                 static_cast<short>(POLLIN | (blocked ? POLLOUT : 0)), 0};
      may_send = may_send || (client.open() && client.room() > 0 && !blocked);
    }
    timespec limit{.tv_sec = 0, .tv_nsec = 100 * kNanosPerMilli};
    if (sending && may_send) {
      limit.tv_nsec = options_.rate > 0 ? std::clamp<std::int64_t>(due_ns(result_.sent + 1) - monotonic_ns(),
                                                                   0, limit.tv_nsec)
                                        : 0;
    }
    if (::ppoll(fds_.data(), fds_.size(), &limit, nullptr) <= 0) return;
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      if (clients_[i]->open() && fds_[i].revents != 0) clients_[i]->exchange();
    }
  }

  const BenchOptions& options_;
  BenchResult result_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<pollfd> fds_;
  std::int64_t began_ns_ = 0;
  std::size_t next_ = 0;
};

}  // namespace

BenchResult run_bench(const BenchOptions& options) {
  return Bench(options).run();
}

}  // namespace fastlogd::ctl

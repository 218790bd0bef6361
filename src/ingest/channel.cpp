#include "ingest/channel.hpp"

#include <utility>

#include "ingest/io_thread.hpp"

namespace fastlogd::ingest {

Channel::Channel(IoThread& thread, ListenerPtr listener, UniqueFd fd)
    : thread_(thread), listener_(std::move(listener)), waiter_(thread.context(), std::move(fd)) {}

void Channel::wait() {
  if (!finished_ && !waiter_.waiting()) waiter_.wait([this] { ready(); });
}

void Channel::pause() {
  counters().backpressure_pauses.add();
  thread_.pause(*this);
}

void Channel::finish() {
  if (finished_) return;
  finished_ = true;
  waiter_.close();
  thread_.retire(*this);
}

ListenerCounters& Channel::counters() {
  return *listener_->counters[thread_.index()];
}

}  // namespace fastlogd::ingest

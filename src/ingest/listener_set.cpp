// FrontEnd's listeners: prepare what may fail, commit what can't.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/diagnostics.hpp"
#include "ingest/front_end.hpp"
#include "ingest/front_end_state.hpp"

namespace fastlogd::ingest {
namespace {

constexpr const char* kHeldByManager =
    "the service manager holds its socket: SocketMode= of its unit says who may connect";

bool same_address(const ListenerOptions& a, const ListenerOptions& b) {
  if (a.transport != b.transport) return false;
  return is_unix(a.transport) ? a.path == b.path : a.address == b.address && a.port == b.port;
}

std::optional<mode_t> mode_of_file(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return status.st_mode & 07777;
}

void compare_mode(const ListenerOptions& options) {
  const auto mode = mode_of_file(options.path);
  if (!mode || *mode == options.mode) return;
  diag::warning("listener {}: {} has mode {:04o}, not {:04o}: {}", options.name, options.path, *mode,
                options.mode, kHeldByManager);
}

Error for_listener(const ListenerOptions& options, std::string reason) {
  return invalid(fmt::format("listener {} ({}): {}", options.name, describe_listener(options), reason));
}

/// Only the unit can change who may connect to a socket that the service manager holds.
Result<> check_kept(const Listener& running, const ListenerOptions& options) {
  if (!running.inherited || !is_unix(options.transport) || options.mode == running.options.mode) return {};
  if (mode_of_file(options.path) == options.mode) return {};
  return for_listener(options, kHeldByManager);
}

}  // namespace

PreparedListeners::PreparedListeners(std::unique_ptr<State> state) : state_(std::move(state)) {}
PreparedListeners::PreparedListeners(PreparedListeners&&) noexcept = default;
PreparedListeners& PreparedListeners::operator=(PreparedListeners&&) noexcept = default;
PreparedListeners::~PreparedListeners() = default;

const ActiveListener* FrontEnd::State::find_active(const ListenerOptions& options) const {
  for (const ActiveListener& one : active) {
    if (same_address(one.listener->options, options)) return &one;
  }
  return nullptr;
}

bool FrontEnd::State::path_is_ours(const std::string& path) const {
  return std::any_of(active.begin(), active.end(), [&](const ActiveListener& one) {
    return is_unix(one.listener->options.transport) && one.listener->options.path == path &&
           !one.has_lost_its_file();
  });
}

/// A Unix socket at another path than the configuration's is not what senders are told to use, whatever its name.
const InheritedSocket* FrontEnd::State::find_inherited(const ListenerOptions& options) const {
  for (const InheritedSocket& one : inherited) {
    const bool fits = !is_unix(options.transport) || is_bound_to(one.fd.get(), options);
    if (one.name == options.name && fits) return &one;
  }
  for (const InheritedSocket& one : inherited) {
    if (is_bound_to(one.fd.get(), options)) return &one;
  }
  return nullptr;
}

/// A listener that comes back under its name goes on counting where it stopped.
std::vector<std::shared_ptr<ListenerCounters>> FrontEnd::State::counters_for(
    const ListenerOptions& options) const {
  std::vector<std::shared_ptr<ListenerCounters>> found;
  const std::lock_guard lock(mutex);
  for (const CountersRow& row : counters) {
    if (row.entry.listener == options.name && row.entry.transport == options.transport &&
        row.entry.stream == options.stream) {
      found.push_back(row.writable);
    }
  }
  while (found.size() < shared.threads.size()) found.push_back(std::make_shared<ListenerCounters>());
  return found;
}

Result<PreparedListeners> FrontEnd::prepare(const std::vector<ListenerOptions>& listeners,
                                            std::vector<InheritedSocket> inherited) {
  std::vector<int> new_ones;
  for (InheritedSocket& one : inherited) {
    new_ones.push_back(one.fd.get());
    state_->inherited.push_back(std::move(one));
  }
  auto prepared = std::make_unique<PreparedListeners::State>();
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      if (same_address(listeners[i], listeners[k]) &&
          (is_unix(listeners[i].transport) || listeners[i].port != 0)) {
        return for_listener(listeners[i], fmt::format("listener {} has the same address", listeners[k].name));
      }
      if (listeners[i].name == listeners[k].name) return for_listener(listeners[i], "the name is taken");
    }
    auto one = state_->prepare_one(listeners[i]);
    if (!one) return one.error();
    prepared->listeners.push_back(std::move(*one));
  }
  for (const int given : new_ones) state_->warn_of_unread(prepared->listeners, given);
  return PreparedListeners(std::move(prepared));
}

Result<PreparedListener> FrontEnd::State::prepare_one(const ListenerOptions& options) {
  auto listener = std::make_shared<Listener>();
  listener->options = options;
  listener->stream = stream_index(options.stream);
  if (listener->stream == streams.size()) {
    return for_listener(options, fmt::format("there is no stream {}", options.stream));
  }
  listener->counters = counters_for(options);
  PreparedListener prepared;
  if (const ActiveListener* running = find_active(options); running && !running->has_lost_its_file()) {
    if (auto kept = check_kept(*running->listener, options); !kept) return kept.error();
    listener->socket_id = running->listener->socket_id;
    listener->inherited = running->listener->inherited;
    prepared.given = running->given;
    prepared.kept = true;
    prepared.thread = running->thread;
    prepared.port = running->port;
  } else {
    listener->socket_id = next_socket_id++;
    prepared.thread = static_cast<unsigned>(listener->socket_id % shared.threads.size());
    if (auto opened = open_socket(options, prepared, listener->inherited); !opened) return opened.error();
  }
  prepared.listener = std::move(listener);
  return prepared;
}

Result<> FrontEnd::State::open_socket(const ListenerOptions& options, PreparedListener& prepared,
                                      bool& inherited_one) {
  if (const InheritedSocket* given = find_inherited(options)) {
    auto port = adopt_socket(given->fd.get(), options);
    if (!port) return port.error();
    prepared.port = *port;
    prepared.fd = UniqueFd(::fcntl(given->fd.get(), F_DUPFD_CLOEXEC, 0));
    if (!prepared.fd)
      return errno_error(fmt::format("listener {}: duplicate the inherited socket", options.name));
    if (is_unix(options.transport)) compare_mode(options);
    prepared.given = given->fd.get();
    inherited_one = true;
  } else {
    // The path of a running listener of ours (with another transport) is taken over by rename, when it is
    // certain.
    const bool replaces = is_unix(options.transport) && path_is_ours(options.path);
    auto made = bind_listener(options, replaces ? options.path + ".new" : options.path);
    if (!made) return made.error();
    prepared.port = made->port;
    prepared.fd = std::move(made->fd);
    prepared.file = std::move(made->file);
  }
  if (!is_stream(options.transport)) {
    auto slab = DatagramSlab::create(shared.limits.load()->record_bytes_max);
    if (!slab) return slab.error();
    prepared.slab = std::move(*slab);
  }
  return {};
}

void FrontEnd::commit(PreparedListeners prepared) noexcept {
  std::vector<PreparedListener>& next = prepared.state_->listeners;
  state_->retire_missing(next);
  for (PreparedListener& one : next) state_->activate(std::move(one));
  std::vector<BoundAddress> bound;
  for (const ActiveListener& one : state_->active) {
    const ListenerOptions& options = one.listener->options;
    bound.push_back(BoundAddress{
        .listener = options.name, .path = options.path, .address = options.address, .port = one.port});
  }
  const std::lock_guard lock(state_->mutex);
  state_->bound = std::move(bound);
}

/// If nobody reads it: its keeper goes on taking what is sent there.
void FrontEnd::State::warn_of_unread(const std::vector<PreparedListener>& prepared, int given) const {
  const bool read = std::any_of(prepared.begin(), prepared.end(),
                                [given](const PreparedListener& one) { return one.given == given; });
  if (read) return;
  for (const InheritedSocket& one : inherited) {
    if (one.fd.get() != given) continue;
    diag::warning("socket {} of the service manager has no listener: nobody reads what is sent there",
                  one.name);
  }
}

void FrontEnd::State::retire_missing(const std::vector<PreparedListener>& prepared) {
  std::erase_if(active, [&](const ActiveListener& one) {
    const std::uint64_t socket_id = one.listener->socket_id;
    const bool stays = std::any_of(prepared.begin(), prepared.end(), [&](const PreparedListener& other) {
      return other.listener->socket_id == socket_id;
    });
    if (stays) return false;
    IoThread* to = shared.threads[one.thread].get();
    to->post([to, socket_id] { to->remove_listener(socket_id); });
    diag::info("listener {} ({}) is closed", one.listener->options.name,
               describe_listener(one.listener->options));
    if (one.given >= 0) warn_of_unread(prepared, one.given);
    return true;
  });
}

void FrontEnd::State::activate(PreparedListener prepared) {
  register_counters(*prepared.listener);
  IoThread* to = shared.threads[prepared.thread].get();
  const ListenerOptions& options = prepared.listener->options;
  if (prepared.kept) {
    const auto running = std::find_if(active.begin(), active.end(), [&](const ActiveListener& one) {
      return one.listener->socket_id == prepared.listener->socket_id;
    });
    if (running->listener->options == options) return;
    if (running->listener->options.mode != options.mode && !prepared.listener->inherited &&
        ::chmod(options.path.c_str(), options.mode) != 0) {
      diag::error("listener {}: set the mode of {}: {}", options.name, options.path, std::strerror(errno));
    }
    running->listener = prepared.listener;
    to->post([to, listener = prepared.listener] { to->replace_listener(listener); });
    return;
  }
  if (is_unix(options.transport)) prepared.file.rename_to(options.path);
  diag::info("listener {} ({}) is open", options.name, describe_listener(options));
  active.push_back(ActiveListener{.listener = prepared.listener,
                                  .given = prepared.given,
                                  .thread = prepared.thread,
                                  .port = prepared.port,
                                  .file = std::move(prepared.file)});
  to->post([to, listener = prepared.listener, fd = std::move(prepared.fd),
            slab = std::move(prepared.slab)]() mutable {
    to->adopt_listener(std::move(listener), std::move(fd), std::move(slab));
  });
}

void FrontEnd::State::register_counters(const Listener& listener) {
  const std::lock_guard lock(mutex);
  for (const auto& one : listener.counters) {
    const bool known = std::any_of(counters.begin(), counters.end(),
                                   [&](const CountersRow& row) { return row.writable == one; });
    if (known) continue;
    counters.push_back(CountersRow{.entry = CountersEntry{.listener = listener.options.name,
                                                          .transport = listener.options.transport,
                                                          .stream = listener.options.stream,
                                                          .counters = one},
                                   .writable = one});
  }
}

}  // namespace fastlogd::ingest

// The C functions of fastlog.h: arguments are checked here, and nothing is thrown past here.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "client/error_text.hpp"
#include "client/fields.hpp"
#include "client/log.hpp"
#include "wire/native.hpp"

struct fastlog_log {
  explicit fastlog_log(fastlogd::client::Settings settings) : log(std::move(settings)) {}

  fastlogd::client::Log log;
};

namespace {

using fastlogd::client::Deadline;
using fastlogd::client::Producer;
using fastlogd::client::Settings;

constexpr const char* kDefaultSocket = "/run/fastlogd/app.sock";
constexpr std::uint64_t kDefaultRingBytes = std::uint64_t{1} << 20;
constexpr std::uint32_t kKnownFlags =
    FASTLOG_DROP | FASTLOG_TIMES | FASTLOG_SOCKET_ONLY | FASTLOG_CONNECT_LATER;
constexpr std::chrono::seconds kCloseWaitMax{1};

constinit thread_local fastlogd::client::ErrorText last_error;

Deadline deadline_of(int timeout_ms) {
  return timeout_ms < 0 ? Deadline::max()
                        : std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
}

/// There is no C++ on the other side. What `work` can throw is for want of memory, but for what nobody has thought of.
template <class Work>
int guarded(Work work) {
  try {
    return work();
  } catch (const std::exception&) {
    return FASTLOG_ERROR_MEMORY;
  }
}

/// The calling thread's. Null: no memory to make one, and the record that was meant for it is counted.
Producer* producer_for_record(fastlog_log* log) {
  try {
    return log->log.mine();
  } catch (const std::exception&) {
    log->log.drop_homeless();
    return nullptr;
  }
}

/// Empty: good.
const char* check(const fastlog_options& options) {
  if (options.abi != FASTLOG_ABI_VERSION) return "the options are of another ABI than this library";
  if ((options.flags & ~kKnownFlags) != 0) return "unknown flags";
  if (options.facility > 23) return "no such facility";
  if (options.identifier != nullptr && std::strlen(options.identifier) > 128)
    return "identifier over 128 bytes";
  if (options.identifier != nullptr && !fastlogd::wire::is_word(options.identifier))
    return "identifier with a space or a control character";
  return "";
}

Settings settings_of(const fastlog_options& options) {
  const char* path = options.socket != nullptr ? options.socket : std::getenv("FASTLOG_SOCKET");
  const bool share = (options.flags & FASTLOG_SOCKET_ONLY) == 0;
  return {.link = {.path = path != nullptr && path[0] != '\0' ? path : kDefaultSocket,
                   .identifier = options.identifier != nullptr ? options.identifier : "",
                   .ring_bytes = !share                    ? 0
                                 : options.ring_bytes == 0 ? kDefaultRingBytes
                                                           : options.ring_bytes},
          .flags = options.flags,
          .facility = options.facility,
          .wait_ms_max = options.wait_ms_max};
}

}  // namespace

int fastlog_open(const fastlog_options* options, fastlog_log** log) {
  if (log == nullptr) return FASTLOG_ERROR_ARGUMENT;
  *log = nullptr;
  return guarded([&]() -> int {
    const fastlog_options defaults = FASTLOG_OPTIONS_INIT;
    const fastlog_options& wanted = options != nullptr ? *options : defaults;
    const char* const wrong = check(wanted);
    last_error = wrong;
    if (*wrong != '\0') return FASTLOG_ERROR_ARGUMENT;
    auto made = std::make_unique<fastlog_log>(settings_of(wanted));
    const std::string& error = made->log.open()->error();
    if (!error.empty() && (wanted.flags & FASTLOG_CONNECT_LATER) == 0) {
      last_error = error;
      return FASTLOG_ERROR_NOT_FOUND;
    }
    *log = made.release();
    return FASTLOG_OK;
  });
}

int fastlog_write(fastlog_log* log, int severity, const char* message, size_t bytes) {
  if (severity < 0 || severity > 7 || log == nullptr) return FASTLOG_ERROR_ARGUMENT;
  Producer* const producer = producer_for_record(log);
  if (producer == nullptr) [[unlikely]]
    return FASTLOG_ERROR_MEMORY;
  int result = FASTLOG_OK;
  char* const room = producer->reserve(bytes, result);
  if (room == nullptr) [[unlikely]]
    return result;
  if (bytes != 0) std::memcpy(room, message, bytes);
  return producer->commit(static_cast<std::uint8_t>(severity), 0, bytes);
}

int fastlog_write_fields(fastlog_log* log, int severity, const fastlog_field* fields, size_t count,
                         const char* message, size_t bytes) {
  if (count == 0) return fastlog_write(log, severity, message, bytes);
  if (severity < 0 || severity > 7 || log == nullptr) return FASTLOG_ERROR_ARGUMENT;
  const std::span all(fields, count);
  const std::size_t data = fastlogd::client::fields_bytes(all);
  if (data == 0) return FASTLOG_ERROR_ARGUMENT;
  Producer* const producer = producer_for_record(log);
  if (producer == nullptr) [[unlikely]]
    return FASTLOG_ERROR_MEMORY;
  int result = FASTLOG_OK;
  char* const room = producer->reserve(data + 1 + bytes, result);
  if (room == nullptr) [[unlikely]]
    return result;
  char* const behind = fastlogd::client::write_fields(all, room);
  *behind = ' ';
  if (bytes != 0) std::memcpy(behind + 1, message, bytes);
  return producer->commit(static_cast<std::uint8_t>(severity), static_cast<std::uint32_t>(data + 1),
                          data + 1 + bytes);
}

char* fastlog_reserve(fastlog_log* log, int severity, size_t bytes_max, int* result) {
  int ignored = FASTLOG_OK;
  int& why = result != nullptr ? *result : ignored;
  why = FASTLOG_ERROR_ARGUMENT;
  if (severity < 0 || severity > 7 || log == nullptr) return nullptr;
  why = FASTLOG_ERROR_MEMORY;
  Producer* const producer = producer_for_record(log);
  if (producer == nullptr) [[unlikely]]
    return nullptr;
  why = FASTLOG_OK;
  char* const room = producer->reserve(bytes_max, why);
  if (room != nullptr) producer->note_severity(static_cast<std::uint8_t>(severity));
  return room;
}

int fastlog_commit(fastlog_log* log, size_t bytes) {
  if (log == nullptr) return FASTLOG_ERROR_ARGUMENT;
  Producer* const producer = log->log.mine_if_any();
  if (producer == nullptr || !producer->has_reserved() || bytes > producer->reserved_bytes())
    return FASTLOG_ERROR_ARGUMENT;
  return producer->commit(producer->noted_severity(), 0, bytes);
}

void fastlog_cancel(fastlog_log* log) {
  Producer* const producer = log != nullptr ? log->log.mine_if_any() : nullptr;
  if (producer != nullptr) producer->cancel();
}

int fastlog_flush(fastlog_log* log, int level, int timeout_ms) {
  if (log == nullptr || level < FASTLOG_ACCEPTED || level > FASTLOG_SYNCED) return FASTLOG_ERROR_ARGUMENT;
  return guarded([&] { return log->log.flush(level, deadline_of(timeout_ms)); });
}

int fastlog_get_counts(fastlog_log* log, fastlog_counts* counts) {
  if (log == nullptr || counts == nullptr) return FASTLOG_ERROR_ARGUMENT;
  *counts = log->log.counts();
  return FASTLOG_OK;
}

int fastlog_close(fastlog_log* log) {
  if (log == nullptr) return FASTLOG_OK;
  const std::unique_ptr<fastlog_log> closed(log);
  return closed->log.finish(std::chrono::steady_clock::now() + kCloseWaitMax) ? FASTLOG_OK
                                                                              : FASTLOG_ERROR_CLOSED;
}

const char* fastlog_error(const fastlog_log* log) {
  if (log == nullptr) return last_error.c_str();
  Producer* const producer = const_cast<fastlog_log*>(log)->log.mine_if_any();
  return producer != nullptr ? producer->error().c_str() : "";  // it has not tried
}

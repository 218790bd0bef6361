// A daemon that does what a test says: gives memory or none, reads or doesn't, goes away.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/send_descriptors.hpp"
#include "base/unique_fd.hpp"
#include "fastlog/fastlog.h"
#include "ring/shared_memory.hpp"
#include "support/temp_directory.hpp"
#include "wire/native.hpp"
#include "wire/shared_record.hpp"

namespace fastlogd::client {

inline constexpr std::size_t kFakeRecordBytesMax = 65536;

struct Arrived {
  std::uint64_t number = 0;
  std::string text;
};

/// One client's connection; it has said HELLO and SHARE. The memory stays mapped when it is closed.
class FakeSession {
 public:
  FakeSession() = default;
  explicit FakeSession(UniqueFd fd) : fd_(std::move(fd)) {
    while (!asked_ && read_some(5000)) {
    }
  }

  [[nodiscard]] explicit operator bool() const { return asked_ && static_cast<bool>(fd_); }
  [[nodiscard]] std::uint64_t first_number() const { return first_number_; }

  /// To a client that may be gone already.
  void give_memory(std::size_t capacity) {
    auto made = ring::SharedMemory::create(capacity);
    ASSERT_TRUE(made);
    memory_ = std::move(*made);
    decoder_.records_are_shared();
    welcome();
    const std::size_t bytes = wire::write_memory(text_, capacity, kFakeRecordBytesMax);
    static_cast<void>(
        send_descriptors(fd_.get(), {text_.data(), bytes}, {memory_.data_fd(), memory_.consumer_page_fd()}));
    memory_.close_descriptors();
  }
  void refuse_memory() {
    welcome();
    send(wire::write_memory_refused(text_, wire::ShareRefusal::off));
  }
  void close() { fd_.reset(); }
  void refuse(std::uint64_t number) {
    errno = 0;
    send(wire::write_refused(text_, number, number, wire::Refusal::stream_full));
    if (errno != EAGAIN) return;
    ADD_FAILURE() << "nobody reads what is refused";
    close();
  }
  /// As on a full disk: each record of a socket, the last one of a ring. Nothing more is read while nobody reads that. Who doesn't for long has failed.
  void refuse_records() {
    const timeval limit{.tv_sec = 5, .tv_usec = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    refuses_ = true;
  }

  /// Reads once, and answers what asks for it. False: nothing for so long, or the end, or nonsense.
  bool read_some(int timeout_ms) {
    pollfd entry{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&entry, 1, timeout_ms) <= 0) return false;
    std::array<char, 65536> room;
    const ssize_t n = ::recv(fd_.get(), room.data(), room.size(), 0);
    if (n <= 0) return false;
    received_.append(room.data(), static_cast<std::size_t>(n));
    wire::NativeEvent event;
    while (decoder_.next(received_, event)) {
      if (event.kind == wire::NativeEvent::Kind::error) {
        ADD_FAILURE() << event.text;
        return false;
      }
      take(event);
      received_.erase(0, event.consumed);
    }
    received_.erase(0, event.consumed);
    return true;
  }

  /// Reads until it has been asked to flush or to answer a PING so often, as read_some() does.
  bool read_until_asked(int times = 1) {
    while (questions_ < times) {
      if (!read_some(5000)) return false;
    }
    questions_ -= times;
    return true;
  }

  /// What asks is read and counted all the same.
  void answer_nothing() { answers_ = false; }

  [[nodiscard]] int bells() const { return bells_; }
  /// What came over the socket.
  [[nodiscard]] const std::vector<Arrived>& arrived() const { return arrived_; }
  /// What lies in the memory, given back or not. PADs are passed over.
  [[nodiscard]] std::vector<Arrived> in_memory() const { return in_memory(0, written()); }
  [[nodiscard]] std::vector<Arrived> in_memory(std::uint64_t from, std::uint64_t to) const {
    std::vector<Arrived> found;
    const ring::SharedParts parts = memory_.parts();
    for (std::uint64_t at = from; at < to;) {
      const std::byte* const frame = parts.data + (at & (parts.capacity - 1));
      ring::FrameHeader header;
      std::memcpy(&header, frame, sizeof header);
      at += header.bytes;
      if ((header.flags & ring::FrameHeader::kPad) != 0) continue;
      wire::SharedRecord record;
      static_cast<void>(
          wire::read_shared_record({frame + sizeof header, header.bytes - sizeof header}, record));
      found.push_back({record.number, std::string(record.slice)});
    }
    return found;
  }
  [[nodiscard]] std::uint64_t written() const { return memory_.parts().producer->written.load(); }
  [[nodiscard]] std::uint64_t told_dropped() const { return memory_.parts().producer->dropped.load(); }
  /// As if all up to there were in the log.
  void give_back(std::uint64_t position) { memory_.parts().consumer->read.store(position); }

 private:
  void take(const wire::NativeEvent& event) {
    using Kind = wire::NativeEvent::Kind;
    if (event.kind == Kind::hello) first_number_ = event.hello.first_number;
    if (event.kind == Kind::share) asked_ = true;
    bells_ += event.kind == Kind::bell ? 1 : 0;
    if (event.kind == Kind::record) {
      arrived_.push_back({event.record.number, std::string(event.record.slice)});
      if (refuses_) refuse(event.record.number);
    }
    if (event.kind != Kind::ping && event.kind != Kind::flush) return;
    ++questions_;
    if (!answers_) return;
    if (refuses_ && memory_.parts().capacity != 0 && event.kind == Kind::flush) refuse(event.number);
    send(event.kind == Kind::ping ? wire::write_pong(text_, event.number)
                                  : wire::write_ack(text_, event.number, event.number));
  }
  void welcome() { send(wire::write_welcome(text_, first_number_, kFakeRecordBytesMax)); }
  void send(std::size_t bytes) { static_cast<void>(::send(fd_.get(), text_.data(), bytes, MSG_NOSIGNAL)); }

  UniqueFd fd_;
  ring::SharedMemory memory_;
  wire::NativeDecoder decoder_{kFakeRecordBytesMax};
  std::string received_;
  std::vector<Arrived> arrived_;
  std::array<char, limits::kNativeReplyBytesMax> text_{};
  std::uint64_t first_number_ = 0;
  int questions_ = 0;
  int bells_ = 0;
  bool asked_ = false;
  bool answers_ = true;
  bool refuses_ = false;
};

class FakeDaemon {
 public:
  enum class Begins : std::uint8_t { at_once, later };

  explicit FakeDaemon(Begins begins = Begins::at_once) : path_(directory_.path() + "/app.sock") {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(path_.begin(), path_.end(), address.sun_path);
    fd_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    if (begins == Begins::at_once) listen();
  }
  void listen() { EXPECT_EQ(::listen(fd_.get(), 16), 0); }

  [[nodiscard]] const std::string& path() const { return path_; }
  /// Somebody has connected and is not accepted yet.
  [[nodiscard]] bool wait_for_a_knock(int timeout_ms = 10000) const {
    pollfd entry{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    return ::poll(&entry, 1, timeout_ms) > 0;
  }
  /// The next one who comes and greets; nobody in that time: none.
  [[nodiscard]] FakeSession accept(int timeout_ms = 10000) {
    if (!wait_for_a_knock(timeout_ms)) return {};
    return FakeSession(UniqueFd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
  }

 private:
  test::TempDirectory directory_;
  std::string path_;
  UniqueFd fd_;
};

struct CloseLog {
  void operator()(fastlog_log* log) const { fastlog_close(log); }
};
using LogPtr = std::unique_ptr<fastlog_log, CloseLog>;

/// Doesn't connect where nobody answers yet.
inline LogPtr open_log(const FakeDaemon& daemon, std::uint32_t flags = 0, std::uint32_t wait_ms_max = 0) {
  fastlog_options options = FASTLOG_OPTIONS_INIT;
  options.socket = daemon.path().c_str();
  options.identifier = "test";
  options.flags = flags | FASTLOG_CONNECT_LATER;
  options.wait_ms_max = wait_ms_max;
  fastlog_log* log = nullptr;
  EXPECT_EQ(fastlog_open(&options, &log), FASTLOG_OK) << fastlog_error(nullptr);
  return LogPtr(log);
}

inline int write(const LogPtr& log, std::string_view text) {
  return fastlog_write(log.get(), FASTLOG_INFO, text.data(), text.size());
}

inline fastlog_counts counts_of(const LogPtr& log) {
  fastlog_counts counts{};
  EXPECT_EQ(fastlog_get_counts(log.get(), &counts), FASTLOG_OK);
  return counts;
}

}  // namespace fastlogd::client

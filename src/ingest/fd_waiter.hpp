// Waiting for a descriptor to become readable, without allocating.
#pragma once

#include <array>
#include <cstddef>
#include <new>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>

#include "base/unique_fd.hpp"

namespace fastlogd::ingest {

namespace asio = boost::asio;

/// Memory for the one handler that its owner has outstanding. Asio allocates an operation when a wait starts
/// and frees it before it calls the handler, so one place is enough.
class HandlerMemory {
 public:
  void* allocate(std::size_t bytes) {
    if (in_use_ || bytes > storage_.size()) return ::operator new(bytes);
    in_use_ = true;
    return storage_.data();
  }
  void deallocate(void* at) {
    if (at == storage_.data()) {
      in_use_ = false;
    } else {
      ::operator delete(at);
    }
  }

 private:
  alignas(std::max_align_t) std::array<std::byte, 256> storage_;
  bool in_use_ = false;
};

/// The associated allocator that makes Asio use it.
template <class T>
class HandlerAllocator {
 public:
  using value_type = T;

  explicit HandlerAllocator(HandlerMemory& memory) : memory_(&memory) {}
  template <class Other>
  explicit(false) HandlerAllocator(const HandlerAllocator<Other>& other) : memory_(other.memory()) {}

  T* allocate(std::size_t n) { return static_cast<T*>(memory_->allocate(n * sizeof(T))); }
  void deallocate(T* at, std::size_t) { memory_->deallocate(at); }
  [[nodiscard]] HandlerMemory* memory() const { return memory_; }
  friend bool operator==(const HandlerAllocator&, const HandlerAllocator&) = default;

 private:
  HandlerMemory* memory_;
};

/// Calls a function object with an associated allocator.
template <class Function>
class RecyclingHandler {
 public:
  using allocator_type = HandlerAllocator<std::byte>;

  RecyclingHandler(HandlerMemory& memory, Function function) : memory_(&memory), function_(function) {}
  [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_type(*memory_); }
  void operator()(const boost::system::error_code& error) { function_(error); }

 private:
  HandlerMemory* memory_;
  Function function_;
};

/// Owns a non-blocking descriptor. At most one wait is outstanding; its handler runs on the io_context's
/// thread, also after close() (with an error), so the owner must live until then: see waiting().
class FdWaiter {
 public:
  FdWaiter(asio::io_context& context, UniqueFd fd) : descriptor_(context, fd.get()) {
    static_cast<void>(fd.release());
  }

  [[nodiscard]] int fd() { return descriptor_.native_handle(); }
  [[nodiscard]] bool waiting() const { return waiting_; }
  [[nodiscard]] bool is_open() const { return descriptor_.is_open(); }

  /// Calls `ready()` once the descriptor is readable, at end of file, or failed. Not called after close().
  template <class Ready>
  void wait(Ready ready) {
    waiting_ = true;
    descriptor_.async_wait(asio::posix::descriptor_base::wait_read,
                           RecyclingHandler(memory_, [this, ready](const boost::system::error_code& error) {
                             waiting_ = false;
                             if (!error && descriptor_.is_open()) ready();
                           }));
  }

  /// Gives the descriptor away. An outstanding wait ends as with close().
  [[nodiscard]] UniqueFd release() { return UniqueFd(descriptor_.release()); }

  void close() {
    boost::system::error_code ignored;
    descriptor_.close(ignored);
  }

 private:
  asio::posix::basic_stream_descriptor<asio::io_context::executor_type> descriptor_;
  HandlerMemory memory_;
  bool waiting_ = false;
};

}  // namespace fastlogd::ingest

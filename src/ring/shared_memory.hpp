// The memory of a ring between two processes: made by one, mapped by the other.
#pragma once

#include <cstddef>
#include <memory>

#include "base/mapping.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "ring/shared_layout.hpp"

namespace fastlogd::ring {

/// The two files of shared_layout.hpp, mapped. Owned by one thread at a time.
class SharedMemory {
 public:
  SharedMemory() = default;

  /// The consumer's side. The memory is there at once (no page of it is missing when a record comes), can't shrink or
  /// grow any more, and has no name. `capacity` is a power of two of at least a page; CHECKed. Errors: ENOMEM,
  /// EMFILE, and EACCES or ENOENT where /proc is hidden.
  [[nodiscard]] static Result<SharedMemory> create(std::size_t capacity);

  /// The producer's side: maps what it was given. The sizes are checked, because touching a page that is not there
  /// kills. Errors: descriptors that are not such a ring's.
  [[nodiscard]] static Result<SharedMemory> open(UniqueFd data, UniqueFd consumer_page, std::size_t capacity);

  /// The consumer's side again, from what a consumer that has died had left with somebody: both files for reading and
  /// writing, in either order. Errors: descriptors that are not such a ring's, or whose size could still change.
  [[nodiscard]] static Result<SharedMemory> resume(UniqueFd one, UniqueFd other);

  [[nodiscard]] SharedParts parts() const { return parts_; }
  /// create() only, to be passed to the producer and then forgotten: file 1 for reading and writing, file 2 for reading
  /// alone.
  [[nodiscard]] int data_fd() const { return data_fd_.get(); }
  [[nodiscard]] int consumer_page_fd() const { return consumer_page_fd_.get(); }
  /// create() only: file 2 for reading and writing. For a successor of the consumer, never for the producer.
  [[nodiscard]] int own_page_fd() const { return own_page_fd_.get(); }
  void close_descriptors() {
    data_fd_.reset();
    consumer_page_fd_.reset();
    own_page_fd_.reset();
  }
  /// Bytes of memory a ring of this capacity takes, pages included.
  [[nodiscard]] static constexpr std::size_t bytes_taken(std::size_t capacity) {
    return capacity + 2 * limits::kPageBytes;
  }

 private:
  Mapping first_;
  Mapping second_;
  UniqueFd data_fd_;
  UniqueFd consumer_page_fd_;
  UniqueFd own_page_fd_;
  SharedParts parts_;
};

}  // namespace fastlogd::ring

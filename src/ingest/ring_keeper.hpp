// Who keeps shared memory for the daemon that comes after this one.
#pragma once

#include <string>

#include "base/unique_fd.hpp"

namespace fastlogd::ingest {

/// The descriptors of a ring somewhere they outlive the daemon (systemd's file descriptor store). Any thread. Nobody is
/// waited for: a ring that could not be kept comes back with its client's next connection, or not at all if that has
/// died too. A ring is given to its keeper before its client gets it, so that no record is in it that could be lost so.
class RingKeeper {
 public:
  virtual ~RingKeeper() = default;

  /// Both files of a ring, for reading and writing; they are duplicated. Returns the name they are kept under, which
  /// sorts behind those that were given before; empty: they are not.
  [[nodiscard]] virtual std::string keep(int data_fd, int page_fd) = 0;
  virtual void forget(const std::string& name) = 0;
};

/// What a keeper gives back at the next start, in either order.
struct KeptRing {
  std::string name;
  UniqueFd one;
  UniqueFd other;
};

}  // namespace fastlogd::ingest

#include <cstdint>

#include "fastlog/fastlog_types.h"

const char* fastlog_result_text(int result) {
  switch (result) {
    case FASTLOG_OK:
      return "success";
    case FASTLOG_ERROR_ARGUMENT:
      return "invalid argument";
    case FASTLOG_ERROR_MEMORY:
      return "out of memory";
    case FASTLOG_ERROR_NOT_FOUND:
      return "not found";
    case FASTLOG_ERROR_PERMISSION:
      return "permission denied";
    case FASTLOG_ERROR_SYSTEM:
      return "a system call failed";
    case FASTLOG_ERROR_BAD_DATA:
      return "bad data";
    case FASTLOG_ERROR_UNSUPPORTED:
      return "not supported";
    case FASTLOG_ERROR_FULL:
      return "no room";
    case FASTLOG_ERROR_TIMEOUT:
      return "time is over";
    case FASTLOG_ERROR_CLOSED:
      return "closed";
    case FASTLOG_ERROR_TOO_LARGE:
      return "too large";
    case FASTLOG_ERROR_REFUSED:
      return "refused";
    default:
      return result > 0 ? "success" : "unknown error";
  }
}

std::uint32_t fastlog_abi_version() {
  return FASTLOG_ABI_VERSION;
}

const char* fastlog_version() {
  return FASTLOGD_VERSION;
}

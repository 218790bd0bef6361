/* What both halves of libfastlog share: the ABI's number, results and their texts.
 *
 * C99 and later, C++. 64-bit little-endian Linux only: what segments hold is used as it lies there. */
#ifndef FASTLOG_TYPES_H
#define FASTLOG_TYPES_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define FASTLOG_API __attribute__((visibility("default")))
#else
#define FASTLOG_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Number of this binary interface, also the library's soname (libfastlog.so.1). Within a number, functions, results and
 * flags may be added; structures keep their size and the meaning of their fields, and what is reserved may get one. */
#define FASTLOG_ABI_VERSION 1

/* What functions return that can fail. A count or 0 is success. Where it helps, the object's own error text says more. */
enum fastlog_result {
  FASTLOG_OK = 0,
  FASTLOG_ERROR_ARGUMENT = -1,    /* a null pointer, an unknown flag, an ABI that is not this library's */
  FASTLOG_ERROR_MEMORY = -2,      /* out of memory */
  FASTLOG_ERROR_NOT_FOUND = -3,   /* no such file or directory, no log in it, nobody listens there */
  FASTLOG_ERROR_PERMISSION = -4,  /* the system does not allow it */
  FASTLOG_ERROR_SYSTEM = -5,      /* another system call failed */
  FASTLOG_ERROR_BAD_DATA = -6,    /* a file or a peer says what can't be */
  FASTLOG_ERROR_UNSUPPORTED = -7, /* not possible with this object's options, or on this system */
  FASTLOG_ERROR_FULL = -8,        /* no room, and waiting was not wanted */
  FASTLOG_ERROR_TIMEOUT = -9,     /* the time was over */
  FASTLOG_ERROR_CLOSED = -10,     /* the peer has gone for good, or the object was closed */
  FASTLOG_ERROR_TOO_LARGE = -11,  /* more bytes than the daemon takes at once */
  FASTLOG_ERROR_REFUSED = -12     /* the daemon has refused some of it */
};

/* A short English text for a result. Static memory; never NULL, also for numbers that mean nothing. Any thread. */
FASTLOG_API const char* fastlog_result_text(int result);

/* The ABI number of the library that is loaded, to compare with FASTLOG_ABI_VERSION. Any thread. */
FASTLOG_API uint32_t fastlog_abi_version(void);

/* Version of the library as text, e.g. "0.1.0". Static memory. Any thread. */
FASTLOG_API const char* fastlog_version(void);

#ifdef __cplusplus
}
#endif

#endif

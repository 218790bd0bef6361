/* Logging to fastlogd: a call is a bounded copy into shared memory and one store.
 *
 *   struct fastlog_log* log;
 *   if (fastlog_open(NULL, &log) != FASTLOG_OK)
 *     die(fastlog_error(NULL));
 *   fastlog_write(log, FASTLOG_INFO, "hello", 5);
 *   fastlog_flush(log, FASTLOG_SYNCED, 1000);
 *   fastlog_close(log);
 *
 * Each thread that logs gets memory of its own from the daemon with its first call, and gives it back when it ends. From
 * then on a call makes no system call, takes no lock and allocates nothing, while the daemon is awake and there is room;
 * a daemon that sleeps because nothing came is woken with one send(2). A record whose call has returned FASTLOG_OK is in
 * memory that the daemon holds as well: the death of the program, SIGKILL included, does not touch it.
 *
 * When the daemon goes away, calls go on into the memory that is there. A thread notices with one of its next calls, tries
 * to reach the daemon again (at most ten times a second), and hands over what the old daemon had not stored. Nothing is missing
 * then and nothing is there twice, also if the daemon was killed: it knows what its log holds of each thread's records. A
 * thread that makes no more calls notices nothing: end it, or let it call fastlog_flush.
 *
 * When the daemon refuses shared memory (its configuration, a quota) records go over the socket, with one send(2) each;
 * what is on its way when the daemon dies is lost then. What the memory of a daemon before that still holds goes first: until
 * the daemon has read it, the thread's calls go on into that memory, and send some of it each.
 *
 * Threads. Any thread may call anything, but nothing may run beside fastlog_close or after it. fork(2): a child goes on with
 * memory of its own; what the parent wrote is the parent's. Signal handlers may write, with any of the calls for it, and
 * nothing else: where one has interrupted another call of its thread with this log, fastlog_flush included, it is refused with
 * FASTLOG_ERROR_FULL and counted; others work once the thread has made its first call. Without shared memory, or when the
 * daemon has gone, they may allocate.
 *
 * Lifetime. Everything that is passed in is copied before the call returns. */
#ifndef FASTLOG_H
#define FASTLOG_H

#include "fastlog_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* As in syslog(3). */
enum fastlog_severity {
  FASTLOG_EMERGENCY = 0,
  FASTLOG_ALERT = 1,
  FASTLOG_CRITICAL = 2,
  FASTLOG_ERR = 3,
  FASTLOG_WARNING = 4,
  FASTLOG_NOTICE = 5,
  FASTLOG_INFO = 6,
  FASTLOG_DEBUG = 7
};

enum fastlog_flags {
  FASTLOG_DROP = 1,        /* when there is no room, drop and count; else wait */
  FASTLOG_TIMES = 2,       /* take the time of each call; else the daemon's time of receipt is all there is */
  FASTLOG_SOCKET_ONLY = 4, /* don't ask for shared memory */
  FASTLOG_CONNECT_LATER =
      8 /* open succeeds without a daemon; until there is one, records are dropped and counted */
};

struct fastlog_options {
  uint32_t abi;       /* FASTLOG_ABI_VERSION */
  uint32_t flags;     /* enum fastlog_flags, or'ed */
  const char* socket; /* path of a unix-stream listener; NULL: $FASTLOG_SOCKET, else /run/fastlogd/app.sock */
  const char*
      identifier; /* the program's name, at most 128 bytes without spaces; NULL: the daemon looks it up */
  uint64_t ring_bytes;  /* memory wanted for each thread; 0: 1 MiB. The daemon may give another amount */
  uint32_t facility;    /* 0 to 23, as in syslog(3) but not shifted; 1 is user */
  uint32_t wait_ms_max; /* without FASTLOG_DROP: how long a call waits for room; 0: without limit */
  uint64_t reserved[4]; /* zero */
};

#define FASTLOG_OPTIONS_INIT {FASTLOG_ABI_VERSION, 0, NULL, NULL, 0, 1, 0, {0, 0, 0, 0}}

struct fastlog_log; /* opaque */

/* `options` may be NULL: FASTLOG_OPTIONS_INIT. Connects the calling thread. On success *log is the caller's, to be given to
 * fastlog_close; otherwise it is NULL and fastlog_error(NULL) says why. */
FASTLOG_API int fastlog_open(const struct fastlog_options* options, struct fastlog_log** log);

/* One record. Any bytes; `bytes` may be 0. FASTLOG_OK: it is the daemon's. FASTLOG_ERROR_FULL: no room, dropped and
 * counted. FASTLOG_ERROR_TIMEOUT: likewise, after wait_ms_max. FASTLOG_ERROR_TOO_LARGE: longer than the daemon's
 * record_bytes_max, dropped and counted. FASTLOG_ERROR_CLOSED: no daemon yet, dropped and counted.
 * FASTLOG_ERROR_MEMORY: likewise, where a call allocates: a thread's first one, and all without shared memory.
 * FASTLOG_ERROR_ARGUMENT: a severity over 7. */
FASTLOG_API int fastlog_write(struct fastlog_log* log, int severity, const char* message, size_t bytes);

/* A name of at most 32 printable ASCII characters without space, '=', ']' and '"', and a value of any bytes. */
struct fastlog_field {
  const char* name; /* ends with a zero */
  const char* value;
  size_t value_bytes;
};

/* With fields, which are stored as RFC 5424 structured data and found with `fastlogctl cat NAME=VALUE`. Their names
 * are checked: FASTLOG_ERROR_ARGUMENT. */
FASTLOG_API int fastlog_write_fields(struct fastlog_log* log, int severity,
                                     const struct fastlog_field* fields, size_t count, const char* message,
                                     size_t bytes);

/* Room for a message of at most `bytes_max` bytes, to format into; NULL where fastlog_write would have failed, and then
 * *result (may be NULL) says why. It is the calling thread's until its fastlog_commit or fastlog_cancel, which must be
 * the thread's next call with this log; meanwhile nobody sees the bytes. */
FASTLOG_API char* fastlog_reserve(struct fastlog_log* log, int severity, size_t bytes_max, int* result);
/* The first `bytes` of the room are the message. FASTLOG_ERROR_ARGUMENT: nothing is reserved, or less than that. */
FASTLOG_API int fastlog_commit(struct fastlog_log* log, size_t bytes);
FASTLOG_API void fastlog_cancel(struct fastlog_log* log);

enum fastlog_level {
  FASTLOG_ACCEPTED = 0, /* a daemon lives and has it */
  FASTLOG_STORED = 1,   /* readers see it; the death of the daemon does not touch it */
  FASTLOG_SYNCED = 2    /* on disk: a power cut does not touch it */
};

/* Waits until everything has reached `level` whose call had returned before, of all threads. `timeout_ms` negative: no
 * limit. FASTLOG_ERROR_TIMEOUT; FASTLOG_ERROR_REFUSED: since the last flush the daemon has refused some of it, or a
 * connection without shared memory broke and nobody knows what became of what was on its way;
 * FASTLOG_ERROR_FULL: the thread has reserved and neither committed nor cancelled;
 * FASTLOG_ERROR_CLOSED: the daemon could not be reached by this thread, or another thread has not reached it again. */
FASTLOG_API int fastlog_flush(struct fastlog_log* log, int level, int timeout_ms);

/* What this log has done, as of now. */
struct fastlog_counts {
  uint64_t written; /* records, in this process */
  uint64_t dropped; /* calls that lost their record */
  uint32_t threads; /* that are connected, or were and have something left to hand over */
  uint32_t shared;  /* of those, how many write into shared memory */
  uint64_t reserved[4];
};
FASTLOG_API int fastlog_get_counts(struct fastlog_log* log, struct fastlog_counts* counts);

/* The daemon stores what it has been given; this waits for nothing but, up to a second, for a daemon that is restarting or does
 * not read, where something is left to hand over. FASTLOG_ERROR_CLOSED: it did not take it, and that is lost. `log` may be
 * NULL. */
FASTLOG_API int fastlog_close(struct fastlog_log* log);

/* What the last failed fastlog_open of this thread was about, for people, with NULL; with a log, why its last attempt to
 * connect this thread failed. Never NULL. Valid until the thread's next call. */
FASTLOG_API const char* fastlog_error(const struct fastlog_log* log);

#ifdef __cplusplus
}
#endif

#endif

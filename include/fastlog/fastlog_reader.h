/* Reading a stream's log without copying: records are views into the mapped segments that the daemon writes.
 *
 *   struct fastlog_reader* reader;
 *   struct fastlog_record records[64];
 *   if (fastlog_reader_open("/var/log/fastlogd/main", NULL, &reader) != FASTLOG_OK)
 *     die(fastlog_reader_error(NULL));
 *   for (int n; (n = fastlog_reader_poll(reader, records, 64, 1000)) >= 0;)
 *     for (int i = 0; i < n; ++i)
 *       if (records[i].kind == FASTLOG_KIND_RECORD)
 *         fwrite(records[i].message, 1, records[i].message_bytes, stdout);
 *   fastlog_reader_close(reader);
 *
 * With or without a running daemon. Every checksum is checked before a record is given out; a record that is being
 * written is never seen. Nothing is skipped in silence: where records are missing, a gap stands in the order of the
 * log and says how many and why, as far as anybody knows.
 *
 * Lifetime. Every pointer in a struct fastlog_record is valid until the next fastlog_reader_poll on its reader, or
 * until fastlog_reader_close, whichever comes first. While a segment is pinned, everything that was read from it stays
 * valid, also when the daemon has sealed or removed its file. The memory belongs to the library and is read-only.
 *
 * Files that disappear or are damaged. The daemon never truncates a segment: it removes files by unlinking (what is
 * mapped stays readable) and gives back only what was never published. So nothing the daemon or its death does makes a
 * reader fault. Damaged bytes are found by their checksums, bad sectors and files that are too short by asking the
 * kernel before anything is touched; both become gaps (reason FASTLOG_GAP_DAMAGED). What remains is somebody else who
 * cuts a segment short while you look at views into it, or in the middle of a poll: that is SIGBUS, as for every mapped
 * file, and the library installs no signal handler. Where others may write to the directory, use FASTLOG_READER_COPY.
 *
 * Threads. One thread at a time may use a reader; different readers are independent. Any thread may read what views
 * point at, as long as they are valid. */
#ifndef FASTLOG_READER_H
#define FASTLOG_READER_H

#include "fastlog_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What every frame of a segment begins with, as it lies in the file (segment-format.md): little-endian, aligned to 8.
 * The payload follows it. Of a DATA frame that is the extension, 8 * extension_words bytes, then the record's bytes. */
struct fastlog_frame_header {
  uint32_t length; /* header and payload, without the zeros up to a multiple of 8 */
  uint32_t checksum;
  uint64_t sequence;
  int64_t receive_time_ns; /* since 1970 */
  uint32_t source;         /* number of the sender in this segment */
  uint8_t type;            /* 1: DATA, 3: GAP */
  uint8_t flags;
  uint8_t priority; /* facility * 8 + severity */
  uint8_t extension_words;
};

enum fastlog_kind { FASTLOG_KIND_RECORD = 1, FASTLOG_KIND_GAP = 2 };

/* Bits of fastlog_record.flags. */
enum fastlog_record_flags {
  FASTLOG_FORMAT_MASK = 0x03, /* 0 raw, 1 RFC 3164, 2 RFC 5424 */
  FASTLOG_TRUNCATED = 0x04,   /* the message was longer than the daemon's limit */
  FASTLOG_MALFORMED = 0x08    /* began like syslog but was not; kept raw */
};

enum fastlog_transport {
  FASTLOG_TRANSPORT_UNKNOWN = 0,
  FASTLOG_TRANSPORT_UNIX_STREAM = 1,
  FASTLOG_TRANSPORT_UNIX_DATAGRAM = 2,
  FASTLOG_TRANSPORT_TCP = 3,
  FASTLOG_TRANSPORT_UDP = 4,
  FASTLOG_TRANSPORT_SHARED_MEMORY = 5,
  FASTLOG_TRANSPORT_INTERNAL = 6
};

/* Why records are missing. Later versions may know more: show the number of one you don't know. */
enum fastlog_gap_reason {
  FASTLOG_GAP_UNKNOWN = 0,
  FASTLOG_GAP_KERNEL = 1,
  FASTLOG_GAP_CLIENT = 2,
  FASTLOG_GAP_RING_FULL = 3,
  FASTLOG_GAP_SHUTDOWN = 4,
  FASTLOG_GAP_NO_SPACE = 5,
  FASTLOG_GAP_SENDER_ERROR = 6,
  FASTLOG_GAP_DAMAGED = 7,
  FASTLOG_GAP_RETENTION = 8, /* removed before you read them */
  FASTLOG_GAP_DURABILITY_UNKNOWN =
      9 /* they may be there; a failed sync, so a power loss may have taken them */
};

struct fastlog_gap {
  uint64_t reason;
  uint64_t count;          /* 0: nobody knows how many */
  uint64_t first_sequence; /* 0: they were lost before they got numbers */
  uint64_t last_sequence;
  int64_t from_ns; /* receive time before the gap, 0 unknown */
  int64_t to_ns;
};

#define FASTLOG_NO_TIME INT64_MIN     /* sender_time_ns: the sender gave none */
#define FASTLOG_UNKNOWN_ID UINT32_MAX /* uid, gid, pid: the transport attests none */

/* One thing read. 192 bytes, every field at the same place in every language. Texts are not terminated by a zero, may
 * hold any byte, and their pointer may be NULL if they are empty. */
struct fastlog_record {
  uint8_t kind;      /* enum fastlog_kind */
  uint8_t transport; /* enum fastlog_transport */
  uint8_t priority;  /* facility * 8 + severity */
  uint8_t flags;     /* enum fastlog_record_flags */
  uint8_t host_bytes;
  uint8_t procid_bytes;
  uint8_t msgid_bytes;
  uint8_t reserved0;
  const struct fastlog_frame_header* frame; /* as stored; NULL for a gap that no frame tells of */
  uint64_t position;                        /* where it lies: segment << 32 | offset / 8 */
  uint64_t next; /* behind it: store this to go on from here (FASTLOG_FROM_POSITION) */

  /* Of a record; 0 and NULL for a gap. */
  uint64_t sequence;       /* dense: one more than that of the record before, but for gaps */
  int64_t receive_time_ns; /* since 1970 */
  int64_t sender_time_ns;  /* what the sender claims, or FASTLOG_NO_TIME */
  const char* slice;       /* everything that was kept of what arrived */
  const char* message;     /* the text in it, behind structured data */
  uint32_t slice_bytes;
  uint32_t message_bytes;
  const char* host;       /* claimed */
  const char* identifier; /* claimed: the program's name or tag */
  const char* procid;
  const char* msgid;
  uint32_t uid; /* attested by the kernel, or FASTLOG_UNKNOWN_ID; likewise the next two */
  uint32_t gid;
  uint32_t pid;
  uint32_t identifier_bytes;

  struct fastlog_gap gap; /* all zero for a record */
  uint64_t reserved[2];   /* zero */
};

/* Where to begin. */
enum fastlog_from {
  FASTLOG_FROM_OLDEST = 0,
  FASTLOG_FROM_END = 1,      /* what is published after the open */
  FASTLOG_FROM_SEQUENCE = 2, /* the first record with this number or a higher one */
  FASTLOG_FROM_TIME = 3,     /* the first one received at or after this time */
  /* A fastlog_record.next or fastlog_reader_position(); 0 is the oldest. With the number of the last record before it in
   * `sequence` (0: unknown), what is missing from there on is told. */
  FASTLOG_FROM_POSITION = 4
};

enum fastlog_reader_flags {
  /* Reads with pread(2) into memory of the reader: a file that somebody cuts short is an error, never SIGBUS. A poll
   * gives at most about half a megabyte, and pinning is not possible. */
  FASTLOG_READER_COPY = 1
};

struct fastlog_reader_options {
  uint32_t abi;   /* FASTLOG_ABI_VERSION */
  uint32_t flags; /* enum fastlog_reader_flags, or'ed */
  uint32_t from;  /* enum fastlog_from */
  uint32_t reserved0;
  uint64_t sequence;
  int64_t time_ns; /* since 1970 */
  uint64_t position;
  uint64_t reserved[3]; /* zero */
};

#define FASTLOG_READER_OPTIONS_INIT {FASTLOG_ABI_VERSION, 0, FASTLOG_FROM_OLDEST, 0, 0, 0, 0, {0, 0, 0}}

struct fastlog_reader; /* opaque */

/* Opens the log in `directory`, a stream's directory: read permission for it and its files is all that is needed.
 * `options` may be NULL: from the oldest record, mapped. Both are copied. On success *reader is the caller's, to be
 * given to fastlog_reader_close; otherwise it is NULL and fastlog_reader_error(NULL) says why. */
FASTLOG_API int fastlog_reader_open(const char* directory, const struct fastlog_reader_options* options,
                                    struct fastlog_reader** reader);

/* Ends the views of the poll before, then fills out[0] to out[max - 1] with what comes next and returns how many: as
 * many as there are, never waiting for more than the first. 0: nothing came in `timeout_ms` (0: only looked; negative:
 * no limit). Without a daemon, too, it waits for one to come. Negative: an error (fastlog_reader_error says more); the
 * reader stays where it is and may be polled again. `max` is at least 1. No allocation per record, and no system call
 * while there is something to read but a few each time and each 256 KiB. */
FASTLOG_API int fastlog_reader_poll(struct fastlog_reader* reader, struct fastlog_record* out, size_t max,
                                    int timeout_ms);

/* Keeps what was read from the segment of `position` (of a record of the last poll, or of a segment that is pinned
 * already). Pins are counted. A pinned segment occupies its mapping, and its disk space after it was removed.
 * FASTLOG_ERROR_UNSUPPORTED with FASTLOG_READER_COPY. */
FASTLOG_API int fastlog_reader_pin(struct fastlog_reader* reader, uint64_t position);
/* Takes one pin back. At the last one, views into the segment end unless they are of the last poll. */
FASTLOG_API int fastlog_reader_unpin(struct fastlog_reader* reader, uint64_t position);

/* Where the next poll goes on, for FASTLOG_FROM_POSITION. */
FASTLOG_API uint64_t fastlog_reader_position(const struct fastlog_reader* reader);

struct fastlog_reader_state {
  uint64_t committed; /* position behind what is published; without a daemon the reader's own */
  uint64_t durable;   /* position behind what is known to be on disk; 0 without a daemon */
  uint32_t live;      /* 1: a daemon has the log open */
  uint32_t reserved[3];
};
/* As of now. A reader whose position is `committed` has read everything, where live is 1. */
FASTLOG_API int fastlog_reader_get_state(const struct fastlog_reader* reader,
                                         struct fastlog_reader_state* state);

/* What the last error of this reader was about, for people; of NULL, the last failed open of this thread. Never NULL.
 * Valid until the next call with this reader, or the next open of this thread. */
FASTLOG_API const char* fastlog_reader_error(const struct fastlog_reader* reader);

/* Ends all views and pins. NULL is allowed. */
FASTLOG_API void fastlog_reader_close(struct fastlog_reader* reader);

#ifdef __cplusplus
}
#endif

#endif

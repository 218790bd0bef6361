// Every maximum of the program in one place, with their relations checked at compile time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fastlogd::limits {

inline constexpr std::size_t kKiB = 1024;
inline constexpr std::size_t kMiB = 1024 * kKiB;
inline constexpr std::size_t kGiB = 1024 * kMiB;

// Records.
inline constexpr std::size_t kRecordBytesDefault = 64 * kKiB;  // product.md: default limit of one message
inline constexpr std::size_t kRecordBytesMax = 512 * kKiB;     // no frame crosses a multiple of 1 MiB
inline constexpr std::size_t kRecordBytesMin = 64;
inline constexpr std::size_t kHostBytesMax = 255;  // RFC 5424 section 6: HOSTNAME
inline constexpr std::size_t kIdentifierBytesMax =
    128;                                             // APP-NAME is 48; RFC 3164 tags in the wild are longer
inline constexpr std::size_t kProcidBytesMax = 128;  // RFC 5424 section 6: PROCID
inline constexpr std::size_t kMsgidBytesMax = 32;    // RFC 5424 section 6: MSGID

// Segments.
inline constexpr std::size_t kPageBytes = 4096;
inline constexpr std::size_t kFrameBlockBytes = kMiB;  // recovery resumes only at its multiples
inline constexpr std::uint64_t kSegmentBytesMin = kMiB;
inline constexpr std::uint64_t kSegmentBytesMax = 8 * kGiB;  // offset / 8 fits 30 bits
inline constexpr std::uint64_t kSegmentBytesDefault = 256 * kMiB;
// A start scans all that are unsealed, which bounds how long it takes: four of any size, or eight of kSegmentBytesDefault at
// most, which are 2 GiB. Fewer than a burst takes make it wait: nothing is sealed, and so given back, while it lasts.
inline constexpr unsigned kUnsealedSegments = 4;
inline constexpr unsigned kUnsealedSmallSegments = 8;

// Rings and io.
inline constexpr std::size_t kRingBytesDefault = 8 * kMiB;
inline constexpr std::size_t kRingBytesMin = 2 * kMiB;
inline constexpr std::size_t kReadBytes = 64 * kKiB;    // one receive of a stream socket
inline constexpr std::size_t kBlockMessagesMax = 2048;  // descriptors of one ring block
inline constexpr unsigned kDatagramBatch = 64;          // slots of one recvmmsg
inline constexpr std::size_t kSourcesPerThreadMax = 4096;
inline constexpr unsigned kIoThreadsMax = 64;
inline constexpr unsigned kConnectionsDefault = 4096;
inline constexpr std::size_t kSharedRingBytesMin = 64 * kKiB;  // shared memory of one producing thread
inline constexpr std::size_t kSharedRingBytesMax = 64 * kMiB;
inline constexpr unsigned kSharedRingsDefault = 256;            // of one user
inline constexpr std::size_t kSharedBytesDefault = 512 * kMiB;  // likewise
inline constexpr unsigned kDescriptorsKept = 64;                // of RLIMIT_NOFILE, for what is no connection
inline constexpr unsigned kStreamsMax = 64;
inline constexpr std::size_t kDroppedRangesMax = 64;  // of one ring, not yet looked at by its io thread
inline constexpr std::size_t kUnknownRangesMax = 64;  // failed syncs of one stream and run, told apart
inline constexpr unsigned kListenersMax = 256;

// Native protocol (wire/FORMAT.md).
inline constexpr std::size_t kNativeMessageBytesMax =
    kMiB;  // one message of a client; records are bounded apart
inline constexpr std::size_t kNativeReplyBytesMax = 256;      // one message of the daemon
inline constexpr std::size_t kNativeErrorTextBytesMax = 200;  // what ERROR says to people

// Followers.
inline constexpr std::size_t kTextBatchBytes = 256 * kKiB;  // one write(2) of the text file

static_assert(kRecordBytesDefault <= kRecordBytesMax);
static_assert(kNativeMessageBytesMax >= 24 + kRecordBytesMax + 1024, "the largest record fits a BATCH");
static_assert(kRecordBytesMax * 2 <= kFrameBlockBytes, "a record must always fit between two multiples");
static_assert(kRingBytesMin >= 2 * (kRecordBytesMax + kReadBytes + kBlockMessagesMax * 32),
              "a ring holds the largest record twice, or a full one could never drain");

}  // namespace fastlogd::limits

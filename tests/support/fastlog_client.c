/* Logs through libfastlog as a test wants it: `fastlog_client FILE THREADS RECORDS BYTES FLAGS RATE LEVEL`.
 *
 * Each thread writes records "<thread>:<number> xxx..." of BYTES bytes, numbers from 1 on, RATE a second (0: as fast as it
 * can); RECORDS 0: until it is killed. FILE is mapped: how many calls of each thread have returned FASTLOG_OK, one u64 a
 * thread, so that the number outlives the program. At the end everything is flushed to LEVEL (negative: nothing is), the
 * log is closed, and what the counts say is printed. FLAGS may hold 256: the calls alone, between two lines "begin" and
 * "end", so that what happens in them can be told apart; "end" is followed by how often a record came more than PAUSE_NS
 * after the one before it, because somebody else had the processor. */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "fastlog/fastlog.h"

enum { MARKED = 256, PAUSE_NS = 75000 }; /* a daemon that finds nothing sleeps after 84 us */

static struct fastlog_log* log_;
static _Atomic uint64_t* returned_;
static uint64_t records_, bytes_, rate_;
static unsigned flags_;

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Spins: a sleep would be a system call of its own. */
static void wait_for_turn(int64_t start, uint64_t number) {
  if (rate_ == 0) return;
  const int64_t due = start + (int64_t)(number * (1000000000 / rate_));
  if (rate_ < 5000) {
    for (int64_t left = due - now_ns(); left > 0; left = due - now_ns()) {
      const struct timespec pause = {0, left < 1000000 ? left : 1000000};
      nanosleep(&pause, NULL);
    }
  }
  while (now_ns() < due) {
  }
}

static void* produce(void* argument) {
  const unsigned long thread = (unsigned long)argument;
  char* text = malloc(bytes_ + 64);
  memset(text, 'x', bytes_ + 64);
  if (flags_ & MARKED) {
    fastlog_write(log_, FASTLOG_INFO, "first", 5); /* connects */
    if (write(1, "begin\n", 6) < 0) abort();
  }
  const int64_t start = now_ns();
  uint64_t pauses = 0;
  int64_t before = start;
  for (uint64_t number = 1; records_ == 0 || number <= records_; ++number) {
    const int64_t last = before;
    wait_for_turn(start, number);
    before = now_ns();
    const int head = snprintf(text, 64, "%lu:%" PRIu64 " ", thread, number);
    text[head] = 'x';
    const size_t bytes = bytes_ < (size_t)head ? (size_t)head : bytes_;
    if (fastlog_write(log_, FASTLOG_INFO, text, bytes) == FASTLOG_OK) atomic_fetch_add(&returned_[thread], 1);
    if ((flags_ & MARKED) && now_ns() - last > PAUSE_NS) ++pauses;
  }
  const int end = snprintf(text, 64, "end %" PRIu64 "\n", pauses);
  if ((flags_ & MARKED) && write(1, text, (size_t)end) < 0) abort();
  free(text);
  return NULL;
}

int main(int argc, char** argv) {
  if (argc != 8) return 2;
  const unsigned long threads = strtoul(argv[2], NULL, 10);
  records_ = strtoull(argv[3], NULL, 10);
  bytes_ = strtoull(argv[4], NULL, 10);
  flags_ = (unsigned)strtoul(argv[5], NULL, 10);
  rate_ = strtoull(argv[6], NULL, 10);
  const int level = atoi(argv[7]);
  const int file = open(argv[1], O_RDWR | O_CREAT, 0600);
  if (file < 0 || ftruncate(file, 4096) != 0) return 3;
  returned_ = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  struct fastlog_options options = FASTLOG_OPTIONS_INIT;
  options.flags = flags_ & 255;
  options.identifier = "client";
  if (fastlog_open(&options, &log_) != FASTLOG_OK) {
    fprintf(stderr, "%s\n", fastlog_error(NULL));
    return 4;
  }
  pthread_t ids[64];
  for (unsigned long i = 0; i < threads; ++i) pthread_create(&ids[i], NULL, produce, (void*)i);
  if (records_ == 0) fprintf(stderr, "running\n");
  for (unsigned long i = 0; i < threads; ++i) pthread_join(ids[i], NULL);
  const int flushed = level < 0 ? 0 : fastlog_flush(log_, level, 30000);
  struct fastlog_counts counts;
  fastlog_get_counts(log_, &counts);
  const int closed = fastlog_close(log_);
  printf("{\"flushed\": %d, \"closed\": %d, \"written\": %" PRIu64 ", \"dropped\": %" PRIu64
         ", \"threads\": %u, \"shared\": %u}\n",
         flushed, closed, counts.written, counts.dropped, counts.threads, counts.shared);
  return 0;
}

/* Follows a stream's log from its oldest record: follow DIRECTORY
 * Prints "sequence<TAB>message" a record. Build: cc follow.c $(pkg-config --cflags --libs fastlog) -o follow */
#include <inttypes.h>
#include <stdio.h>

#include <fastlog/fastlog_reader.h>

enum { BATCH = 256 };

static void print(const struct fastlog_record* record) {
  if (record->kind == FASTLOG_KIND_GAP) {
    printf("gap\t%" PRIu64 "\t%" PRIu64 "\n", record->gap.count, record->gap.reason);
    return;
  }
  /* Both point into the segment's file: nothing was copied. */
  printf("%" PRIu64 "\t", record->frame->sequence);
  fwrite(record->message, 1, record->message_bytes, stdout);
  putchar('\n');
}

int main(int argc, char** argv) {
  static struct fastlog_record records[BATCH];
  struct fastlog_reader* reader;
  int count;
  if (argc != 2) {
    fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
    return 2;
  }
  if (fastlog_reader_open(argv[1], NULL, &reader) != FASTLOG_OK) {
    fprintf(stderr, "%s\n", fastlog_reader_error(NULL));
    return 1;
  }
  while ((count = fastlog_reader_poll(reader, records, BATCH, 1000)) >= 0) {
    for (int i = 0; i < count; ++i) print(&records[i]);
    if (count > 0 && fflush(stdout) != 0) break;
  }
  if (count < 0) fprintf(stderr, "%s\n", fastlog_reader_error(reader));
  fastlog_reader_close(reader);
  return 1;
}

"""fastlog_reader_poll: no allocation and no system call for a record."""

import os
import re
import shutil
import subprocess

import pytest
from support.installed import install
from support.load import Load

RECORDS = 300_000

# Counts what is allocated between the first poll and the last; its malloc comes before libc's, for the library, too.
PROGRAM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fastlog/fastlog_reader.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int counting;
static unsigned long allocations;

void* malloc(size_t bytes) {
  static void* (*libc_malloc)(size_t);
  if (!libc_malloc) libc_malloc = (void* (*)(size_t))dlsym(RTLD_NEXT, "malloc");
  if (counting) ++allocations;
  return libc_malloc(bytes);
}

int main(int argc, char** argv) {
  static struct fastlog_record records[256];
  struct fastlog_reader_options options = FASTLOG_READER_OPTIONS_INIT;
  struct fastlog_reader* reader;
  unsigned long read = 0, bytes = 0;
  int count;
  if (argc == 3) options.flags = FASTLOG_READER_COPY;
  if (fastlog_reader_open(argv[1], &options, &reader) != FASTLOG_OK) return 1;
  counting = 1;
  while ((count = fastlog_reader_poll(reader, records, 256, 0)) > 0)
    for (int i = 0; i < count; ++i, ++read) bytes += records[i].message_bytes;
  counting = 0;
  printf("read %lu bytes %lu allocations %lu\n", read, bytes, allocations);
  fastlog_reader_close(reader);
  return count < 0;
}
"""


@pytest.mark.parametrize("copy", [[], ["copy"]], ids=["mapped", "copying"])
def test_a_record_costs_neither_an_allocation_nor_a_system_call(idle_daemon, folder, copy):
    if not shutil.which("cc") or not shutil.which("strace"):
        pytest.skip("no C compiler or no strace")
    install(folder / "root")
    usr = folder / "root/usr"
    (folder / "cost.c").write_text(PROGRAM)
    built = subprocess.run(["cc", "-O1", folder / "cost.c", "-o", folder / "cost", f"-I{usr}/include", f"-L{usr}/lib", "-lfastlog", "-ldl"],
                           capture_output=True, text=True, timeout=60)
    assert built.returncode == 0, built.stderr
    daemon = idle_daemon.start()
    Load(daemon.connect, rate=1e9, count=RECORDS).run()
    daemon.quiesce(RECORDS)
    assert daemon.stop() == 0
    segments = len(list(daemon.log_directory.glob("*.flog")))
    done = subprocess.run(["strace", "-f", "-c", "-o", folder / "calls", folder / "cost", daemon.log_directory, *copy], text=True,
                          env=os.environ | {"LD_LIBRARY_PATH": str(usr / "lib")}, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    read, size, allocations = map(int, re.findall(r"\d+", done.stdout))
    calls = int(re.search(r"^100\.00\s+\S+\s+(?:\S+\s+)?(\d+)\s.*total$", (folder / "calls").read_text(), re.MULTILINE)[1])
    print(f"{read} records in {segments} segments: {allocations} allocations, {calls} system calls")
    assert read == RECORDS and size == RECORDS * 99
    # What opening a segment takes, and a few calls for each poll of 256 and each 256 KiB.
    assert allocations < 200 * segments
    assert calls < RECORDS / 256 * 4 + 200 * segments

"""A disk's write log, as qemu's blklogwrites driver keeps it, and the disks a power cut could have left behind.

The log is a sequence of writes and flushes in the order in which the guest could see them done. At a cut, every write
before the last flush is on the disk. Of the writes after it, which the disk had only in its cache, anything may be:
all, some or none of them, in any order, each whole or torn into sectors of 512 bytes.

Format: a 512-byte header {magic, version, entries, sector bytes}, then entries of one sector {first sector, sectors,
flags, bytes of data}, each followed by what was written (Documentation/admin-guide/device-mapper/log-writes.rst in
Linux, block/blklogwrites.c in qemu).
"""

import dataclasses
import mmap
import pathlib
import random
import struct
import subprocess

MAGIC, VERSION = 0x6A736677736872, 1
SECTOR = 512
FLUSH, FUA, DISCARD = 1, 2, 4
FATES = ("none", "some", "torn", "all")


@dataclasses.dataclass(frozen=True)
class Entry:
    """One write or flush. `end`: bytes of the log up to and with it."""

    at: int  # byte on the disk
    data: memoryview
    flushes: bool
    end: int


class WriteLog:
    """What can be read of a log whose writer was killed: whole entries up to the first that is not there."""

    def __init__(self, path: pathlib.Path):
        with path.open("rb") as file:
            self._bytes = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        magic, version, _, sector = struct.unpack_from("<QQQI", self._bytes)
        assert (magic, version, sector) == (MAGIC, VERSION, SECTOR), "not a write log of 512-byte sectors"
        self.entries = list(self._read())

    def _read(self):
        at = SECTOR
        while at + SECTOR <= len(self._bytes):
            sector, sectors, flags, _ = struct.unpack_from("<QQQQ", self._bytes, at)
            assert not flags & ~FLUSH, f"flags {flags:#x}: the disk was to offer neither FUA nor discard"
            if not sectors and not flags:
                return  # allocated, never written: the kill came first
            end = at + (1 + sectors) * SECTOR
            if end > len(self._bytes):
                return
            yield Entry(sector * SECTOR, self._bytes[at + SECTOR:end], bool(flags & FLUSH), end)
            at = end

    def flushed_before(self, cut: int) -> int:
        """How many entries a cut after the first `cut` entries leaves on the disk for certain."""
        return next((index + 1 for index in reversed(range(cut)) if self.entries[index].flushes), 0)

    def crash_image(self, before: pathlib.Path, image: pathlib.Path, cut: int, chance: random.Random) -> tuple[str, int]:
        """Writes a disk that a power cut after `cut` entries may leave of disk `before`.

        Returns how, for people, and how many writes had not been flushed.
        """
        subprocess.run(["cp", "--sparse=always", str(before), str(image)], check=True)
        safe = self.flushed_before(cut)
        cached = [entry for entry in self.entries[safe:cut] if entry.data]
        fate = chance.choice(FATES)
        chance.shuffle(cached)
        kept = 0
        with image.open("r+b") as disk:
            for entry in self.entries[:safe]:
                _put(disk, entry.at, entry.data)
            for entry in cached:
                for at, data in _survivors(entry, fate, chance):
                    _put(disk, at, data)
                    kept += len(data)
        lost = sum(len(entry.data) for entry in cached) - kept
        how = f"cut after {cut} of {len(self.entries)} writes, {len(cached)} unflushed, {fate} kept, {lost} bytes lost"
        return how, len(cached)


def _put(disk, at: int, data: memoryview) -> None:
    disk.seek(at)
    disk.write(data)


def _survivors(entry: Entry, fate: str, chance: random.Random):
    """What of an unflushed write reached the disk, as (byte on the disk, bytes)."""
    if fate == "all" or (fate != "none" and chance.random() < 0.5):
        if fate != "torn":
            yield entry.at, entry.data
            return
        for offset in range(0, len(entry.data), SECTOR):
            if chance.random() < 0.5:
                yield entry.at + offset, entry.data[offset:offset + SECTOR]

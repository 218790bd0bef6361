"""The crash model of the virtual machine's disk: flushed writes stay, unflushed ones are lost, kept, torn, reordered."""

import random
import struct

from vm.write_log import FLUSH, MAGIC, SECTOR, WriteLog

DISK_SECTORS = 64


def entry(sector: int, data: bytes = b"", flags: int = 0) -> bytes:
    head = struct.pack("<QQQQ", sector, len(data) // SECTOR, flags, len(data) if flags == 0 else 0)
    return head.ljust(SECTOR, b"\0") + data


def log_of(folder, *entries: bytes, tail: bytes = b"") -> WriteLog:
    path = folder / "log"
    header = struct.pack("<QQQI", MAGIC, 1, 0, SECTOR).ljust(SECTOR, b"\0")
    path.write_bytes(header + b"".join(entries) + tail)
    return WriteLog(path)


def images(folder, log: WriteLog, cut: int, count: int = 100):
    """Sectors of `count` disks the cut may leave, each sector as its first byte."""
    before, image = folder / "before", folder / "image"
    before.write_bytes(bytes(DISK_SECTORS * SECTOR))
    for seed in range(count):
        log.crash_image(before, image, cut, random.Random(seed))
        disk = image.read_bytes()
        assert len(disk) == DISK_SECTORS * SECTOR
        yield [disk[sector * SECTOR] for sector in range(DISK_SECTORS)]


def test_what_was_flushed_is_there_and_what_comes_after_the_cut_is_not(folder):
    log = log_of(folder, entry(3, b"a" * SECTOR), entry(0, flags=FLUSH), entry(4, b"b" * SECTOR), entry(5, b"c" * SECTOR))
    fates = {(disk[3], disk[4], disk[5]) for disk in images(folder, log, 3)}
    assert fates == {(ord("a"), ord("b"), 0), (ord("a"), 0, 0)}


def test_unflushed_writes_are_torn_at_sectors(folder):
    log = log_of(folder, entry(8, b"x" * (2 * SECTOR)))
    kept = {tuple(disk[8:10]) for disk in images(folder, log, 1)}
    assert len(kept) == 4, "each sector of an unflushed write may be there or not"


def test_unflushed_writes_are_reordered(folder):
    log = log_of(folder, entry(8, b"1" * SECTOR), entry(8, b"2" * SECTOR))
    assert {disk[8] for disk in images(folder, log, 2)} == {0, ord("1"), ord("2")}


def test_flushed_writes_are_not_reordered(folder):
    log = log_of(folder, entry(8, b"1" * SECTOR), entry(8, b"2" * SECTOR), entry(0, flags=FLUSH))
    assert {disk[8] for disk in images(folder, log, 3)} == {ord("2")}


def test_reading_ends_at_an_entry_that_was_never_finished(folder):
    whole = entry(1, b"a" * SECTOR)
    assert len(log_of(folder, whole, tail=bytes(SECTOR) + entry(2, b"b" * SECTOR)).entries) == 1
    assert len(log_of(folder, whole, tail=entry(2, b"b" * 2 * SECTOR)[:-1]).entries) == 1

"""Writes a sealed stream of any size that takes little disk, from src/segment/FORMAT.md alone: blocks hold a few records and
a PAD whose zeros are a hole."""

import os
import pathlib
import struct

from support.segment_reader import BLOCK, DATA, HEAD, PAD, PAGE, SEAL, SOURCE, crc32c

CHECKPOINT, OPEN = 5, 6


class SparseLog:
    """`segments` files of `segment_bytes`; the first `blocks` blocks of each hold `per_block` records. Record n is "record n",
    received at first_time_ns + n * 1 s. No INDEX frames: what version 1.0 wrote, but for the trailer's *ordered since*."""

    def __init__(self, directory: pathlib.Path, segments: int = 400, segment_bytes: int = 256 << 20, blocks: int = 6,
                 per_block: int = 3, first_time_ns: int = 1_700_000_000_000_000_000):
        self.directory, self.segments, self.segment_bytes = directory, segments, segment_bytes
        self.blocks, self.per_block, self.first_time_ns = blocks, per_block, first_time_ns
        self.records = segments * blocks * per_block
        self._log, self._sequence, self._previous = os.urandom(16), 1, (bytes(16), 0)

    def time_of(self, sequence: int) -> int:
        return self.first_time_ns + sequence * 1_000_000_000

    def write(self) -> "SparseLog":
        self.directory.mkdir(parents=True)
        for index in range(1, self.segments + 1):
            self._write_segment(index)
        return self

    def _write_segment(self, index: int) -> None:
        uuid, first = os.urandom(16), self._sequence
        header = struct.pack("<8s2HI2IQ2I16s16s2Q2q16s", b"FLOGSEG1", 1, 1, PAGE, 0, 0, self.segment_bytes, 1, 526_368, self._log,
                             uuid, index, 1, self.time_of(first), 1, bytes(16))
        with (self.directory / f"{index:020}.flog").open("wb") as file:
            file.truncate(self.segment_bytes)
            file.write(_page(header))
            end = 0
            for block in range(self.blocks):
                start = max(PAGE, block * BLOCK)
                data, end = self._block(start, block, crc32c(uuid), first)
                file.seek(start)
                file.write(data)
            trailer = struct.pack("<8s16s2I4Q2q3Q", b"FLOGEND1", uuid, 1, 0, end, first, self._sequence - 1, self._sequence - first,
                                  self.time_of(first), self.time_of(self._sequence - 1), 0, self._source, 1)
            file.seek(self.segment_bytes - PAGE)
            file.write(_page(trailer))
        self._previous = (uuid, end)

    def _block(self, start: int, block: int, salt: int, first: int) -> tuple[bytes, int]:
        data = bytearray()

        def put(kind: int, payload: bytes, length: int = 0, time: int = self.time_of(self._sequence)) -> None:
            at, length = start + len(data), length or HEAD + len(payload)
            rest = struct.pack("<QqI4B", self._sequence, time, 0, kind, 0, 14 if kind == DATA else 0, 0)
            payload += bytes(-len(payload) % 8)
            crc = crc32c(struct.pack("<2Q", at, length) + rest + payload, salt)
            data.extend(struct.pack("<2I", length, crc) + rest + payload)

        if block == 0:
            put(OPEN, struct.pack("<Q16s3Q2Q", first, *self._previous, first - 1, 0, 1, 2))
            self._source = start + len(data)
            put(SOURCE, struct.pack("<QBBH3I", 0, 1, 0, 3, 0, 0, 0) + b"app")
        else:
            put(CHECKPOINT, struct.pack("<3Q", 0, self._source, self._sequence - first))
        for _ in range(self.per_block):
            put(DATA, b"record %d" % self._sequence, time=self.time_of(self._sequence))
            self._sequence += 1
        newest = self.time_of(self._sequence - 1)
        if block + 1 == self.blocks:
            put(SEAL, struct.pack("<4Q", self._sequence - 1, self._sequence - first, self._source, 0), time=newest)
            return bytes(data), start + len(data)
        put(PAD, b"", length=BLOCK - (start + len(data)) % BLOCK, time=newest)
        return bytes(data), 0


def _page(fields: bytes) -> bytes:
    body = fields + bytes(PAGE - 4 - len(fields))
    return body + struct.pack("<I", crc32c(body))

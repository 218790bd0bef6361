"""A reader of segments written from src/segment/FORMAT.md alone, with nothing but the standard library.

    python3 segment_reader.py DIRECTORY          prints sequence, source and message of every record
"""

import pathlib
import struct
import sys

BLOCK, PAGE, HEAD = 1 << 20, 4096, 32
DATA, SOURCE, GAP, INDEX, SEAL, PAD = 1, 2, 3, 4, 7, 8

TABLE = []
for value in range(256):
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    TABLE.append(value)


def crc32c(data: bytes, crc: int = 0) -> int:
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def page_is_good(page: bytes, magic: bytes) -> bool:
    return page[:8] == magic and crc32c(page[:-4]) == struct.unpack("<I", page[-4:])[0]


def frames(segment: bytes):
    """(type, sequence, source, extension bytes, payload, time, offset) of every frame up to the first invalid one or
    the end."""
    header = segment[:PAGE]
    if not page_is_good(header, b"FLOGSEG1") or struct.unpack_from("<H", header, 8)[0] != 1:
        raise ValueError("no segment of version 1")
    salt, trailer, at = crc32c(header[56:72]), segment[-PAGE:], PAGE
    sealed = page_is_good(trailer, b"FLOGEND1") and trailer[8:24] == header[56:72]
    end = struct.unpack_from("<Q", trailer, 32)[0] if sealed else len(segment) - PAGE
    while at < end:
        if BLOCK - at % BLOCK < HEAD:
            at += BLOCK - at % BLOCK
        length, crc, sequence, time, source, kind, _, _, words = struct.unpack_from("<IIQqIBBBB", segment, at)
        occupied = (length + 7) // 8 * 8
        if length < HEAD or occupied > BLOCK - at % BLOCK:
            return
        head = struct.pack("<QQ", at, length) + segment[at + 8 : at + HEAD]
        covered = b"" if kind == PAD else segment[at + HEAD : at + occupied]
        if crc32c(head + covered, salt) != crc or (kind > PAD and kind < 128):
            return
        yield kind, sequence, source, words * 8, segment[at + HEAD : at + length], time, at
        if kind == SEAL:
            return
        at += occupied


def items(directory: pathlib.Path):
    """("record", sequence, identifier, message) and ("gap", reason, count, first, last), in order."""
    for path in sorted(directory.glob("[0-9]*.flog")):
        identifiers = {}
        for kind, sequence, source, extension, payload, _, _ in frames(path.read_bytes()):
            if kind == SOURCE:
                host, identifier = struct.unpack_from("<BH", payload, 9)
                identifiers[source] = payload[24 + host : 24 + host + identifier].decode(errors="replace")
            elif kind == DATA:
                start = struct.unpack_from("<I", payload)[0] if extension else 0
                yield "record", sequence, identifiers.get(source, "?"), payload[extension + start :]
            elif kind == GAP:
                yield ("gap", *struct.unpack_from("<4Q", payload))


def index_entries(segment: bytes):
    """What INDEX frames say of records, and what is there: two lists of (sequence, time, offset)."""
    all_frames = list(frames(segment))
    told = [entry for kind, _, _, _, payload, _, _ in all_frames if kind == INDEX for entry in struct.iter_unpack("<QqQ", payload[16:])]
    return told, [(sequence, time, at) for kind, sequence, _, _, _, time, at in all_frames if kind == DATA]


if __name__ == "__main__":
    for item in items(pathlib.Path(sys.argv[1])):
        print(*item)

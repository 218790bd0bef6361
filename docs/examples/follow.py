#!/usr/bin/env python3
"""Follows a stream's log from its oldest record: follow.py DIRECTORY

Prints "sequence<TAB>message" a record. Needs nothing but libfastlog.so.1 and ctypes: the structures below are laid over
the library's memory, and messages are written from the mapped segment without a copy.
"""

import ctypes
import sys

KIND_RECORD, KIND_GAP = 1, 2
BATCH = 256


class FrameHeader(ctypes.LittleEndianStructure):
    """struct fastlog_frame_header: what each frame of a segment begins with."""

    _fields_ = [("length", ctypes.c_uint32), ("checksum", ctypes.c_uint32), ("sequence", ctypes.c_uint64),
                ("receive_time_ns", ctypes.c_int64), ("source", ctypes.c_uint32), ("type", ctypes.c_uint8),
                ("flags", ctypes.c_uint8), ("priority", ctypes.c_uint8), ("extension_words", ctypes.c_uint8)]


class Gap(ctypes.Structure):
    """struct fastlog_gap"""

    _fields_ = [("reason", ctypes.c_uint64), ("count", ctypes.c_uint64), ("first_sequence", ctypes.c_uint64),
                ("last_sequence", ctypes.c_uint64), ("from_ns", ctypes.c_int64), ("to_ns", ctypes.c_int64)]


class Record(ctypes.Structure):
    """struct fastlog_record. Texts are addresses: as c_char_p they would be copied, and end at a zero byte."""

    _fields_ = [("kind", ctypes.c_uint8), ("transport", ctypes.c_uint8), ("priority", ctypes.c_uint8), ("flags", ctypes.c_uint8),
                ("host_bytes", ctypes.c_uint8), ("procid_bytes", ctypes.c_uint8), ("msgid_bytes", ctypes.c_uint8),
                ("reserved0", ctypes.c_uint8), ("frame", ctypes.POINTER(FrameHeader)), ("position", ctypes.c_uint64),
                ("next", ctypes.c_uint64), ("sequence", ctypes.c_uint64), ("receive_time_ns", ctypes.c_int64),
                ("sender_time_ns", ctypes.c_int64), ("slice", ctypes.c_void_p), ("message", ctypes.c_void_p),
                ("slice_bytes", ctypes.c_uint32), ("message_bytes", ctypes.c_uint32), ("host", ctypes.c_void_p),
                ("identifier", ctypes.c_void_p), ("procid", ctypes.c_void_p), ("msgid", ctypes.c_void_p),
                ("uid", ctypes.c_uint32), ("gid", ctypes.c_uint32), ("pid", ctypes.c_uint32),
                ("identifier_bytes", ctypes.c_uint32), ("gap", Gap), ("reserved", ctypes.c_uint64 * 2)]


assert (ctypes.sizeof(FrameHeader), ctypes.sizeof(Gap), ctypes.sizeof(Record)) == (32, 48, 192)


def load() -> ctypes.CDLL:
    library = ctypes.CDLL("libfastlog.so.1")
    library.fastlog_reader_open.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)]
    library.fastlog_reader_poll.argtypes = [ctypes.c_void_p, ctypes.POINTER(Record), ctypes.c_size_t, ctypes.c_int]
    library.fastlog_reader_error.argtypes = [ctypes.c_void_p]
    library.fastlog_reader_error.restype = ctypes.c_char_p
    library.fastlog_reader_close.argtypes = [ctypes.c_void_p]
    return library


def view(address: int | None, length: int) -> memoryview:
    """The bytes where they lie; valid until the next poll."""
    return memoryview((ctypes.c_char * length).from_address(address)) if length else memoryview(b"")


def main() -> int:
    if len(sys.argv) != 2:
        sys.exit("usage: follow.py DIRECTORY")
    library = load()
    reader = ctypes.c_void_p()
    if library.fastlog_reader_open(sys.argv[1].encode(), None, ctypes.byref(reader)) != 0:
        sys.exit(library.fastlog_reader_error(None).decode())
    records = (Record * BATCH)()
    out = sys.stdout.buffer
    while (count := library.fastlog_reader_poll(reader, records, BATCH, 1000)) >= 0:
        for i in range(count):
            record = records[i]
            if record.kind == KIND_GAP:
                out.write(b"gap\t%d\t%d\n" % (record.gap.count, record.gap.reason))
                continue
            out.write(b"%d\t" % record.frame.contents.sequence)
            out.write(view(record.message, record.message_bytes))
            out.write(b"\n")
        out.flush()
    print(library.fastlog_reader_error(reader).decode(), file=sys.stderr)
    library.fastlog_reader_close(reader)
    return 1


if __name__ == "__main__":
    sys.exit(main())

"""libfastlog from a test: through ctypes, or in a C program that is built against it."""

import contextlib
import ctypes
import functools
import json
import os
import pathlib
import re
import struct
import subprocess
import tempfile

from support.daemon import BIN, Daemon, eventually
from support.source_tree import ROOT

LIBRARY = BIN.parent / "lib" / "libfastlog.so"
DROP, TIMES, SOCKET_ONLY, CONNECT_LATER, MARKED = 1, 2, 4, 8, 256
ACCEPTED, STORED, SYNCED = 0, 1, 2
OK, ARGUMENT, FULL, TIMEOUT, CLOSED, TOO_LARGE, REFUSED = 0, -1, -8, -9, -10, -11, -12


class Options(ctypes.Structure):
    _fields_ = [("abi", ctypes.c_uint32), ("flags", ctypes.c_uint32), ("socket", ctypes.c_char_p),
                ("identifier", ctypes.c_char_p), ("ring_bytes", ctypes.c_uint64), ("facility", ctypes.c_uint32),
                ("wait_ms_max", ctypes.c_uint32), ("reserved", ctypes.c_uint64 * 4)]


class Field(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("value", ctypes.c_char_p), ("value_bytes", ctypes.c_size_t)]


class Counts(ctypes.Structure):
    _fields_ = [("written", ctypes.c_uint64), ("dropped", ctypes.c_uint64), ("threads", ctypes.c_uint32),
                ("shared", ctypes.c_uint32), ("reserved", ctypes.c_uint64 * 4)]


@functools.cache
def library() -> ctypes.CDLL:
    loaded = ctypes.CDLL(str(LIBRARY))
    loaded.fastlog_error.restype = ctypes.c_char_p
    loaded.fastlog_reserve.restype = ctypes.c_void_p
    loaded.fastlog_write.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t]
    for name in ("fastlog_close", "fastlog_flush", "fastlog_commit", "fastlog_cancel", "fastlog_reserve",
                 "fastlog_get_counts", "fastlog_write_fields", "fastlog_error"):
        getattr(loaded, name).argtypes = None
    return loaded


class Log:
    """One struct fastlog_log of this process."""

    def __init__(self, daemon: Daemon, flags: int = 0, ring_bytes: int = 0, wait_ms_max: int = 0, socket: str = ""):
        self.handle = ctypes.c_void_p()
        path = socket or daemon.listener("app")["path"]
        options = Options(abi=1, flags=flags, socket=path.encode(), identifier=b"client", ring_bytes=ring_bytes,
                          facility=1, wait_ms_max=wait_ms_max)
        self.opened = library().fastlog_open(ctypes.byref(options), ctypes.byref(self.handle))
        self.error = library().fastlog_error(None).decode()

    def write(self, text: bytes, severity: int = 6) -> int:
        return library().fastlog_write(self.handle, severity, text, len(text))

    def write_fields(self, fields: dict[bytes, bytes], text: bytes) -> int:
        array = (Field * len(fields))(*(Field(name, value, len(value)) for name, value in fields.items()))
        return library().fastlog_write_fields(self.handle, 6, array, ctypes.c_size_t(len(fields)), text,
                                              ctypes.c_size_t(len(text)))

    def reserve(self, room: int, severity: int = 6) -> tuple[int | None, int]:
        result = ctypes.c_int()
        return library().fastlog_reserve(self.handle, severity, ctypes.c_size_t(room), ctypes.byref(result)), result.value

    def commit(self, count: int) -> int:
        return library().fastlog_commit(self.handle, ctypes.c_size_t(count))

    def cancel(self) -> None:
        library().fastlog_cancel(self.handle)

    def flush(self, level: int = STORED, timeout_ms: int = 20000) -> int:
        return library().fastlog_flush(self.handle, level, timeout_ms)

    def counts(self) -> Counts:
        counts = Counts()
        assert library().fastlog_get_counts(self.handle, ctypes.byref(counts)) == OK
        return counts

    def close(self) -> int:
        return library().fastlog_close(self.handle)


@contextlib.contextmanager
def opened(daemon: Daemon, **options):
    log = Log(daemon, **options)
    assert log.opened == OK, log.error
    yield log
    log.close()


@functools.cache
def program() -> pathlib.Path:
    """tests/support/fastlog_client.c, built once for each run of the tests."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="fastlog-client-")) / "fastlog_client"
    subprocess.run(["cc", "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", f"-I{ROOT}/include",
                    str(ROOT / "tests/support/fastlog_client.c"), "-o", str(path), f"-L{LIBRARY.parent}", "-lfastlog",
                    f"-Wl,-rpath,{LIBRARY.parent}", "-lpthread"], check=True)
    return path


class Client:
    """The C program, running."""

    def __init__(self, daemon: Daemon, threads: int = 1, records: int = 0, size: int = 64, flags: int = 0, rate: int = 0,
                 level: int = STORED, prefix: tuple[str, ...] = (), **environment: str):
        self.returned_path = pathlib.Path(tempfile.mkstemp(dir=daemon.folder)[1])
        self.threads = threads
        arguments = [str(value) for value in (threads, records, size, flags, rate, level)]
        self.process = subprocess.Popen(
            [*prefix, str(program()), str(self.returned_path), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "FASTLOG_SOCKET": daemon.listener("app")["path"], **environment})

    def result(self, timeout: float = 120) -> dict:
        out, error = self.process.communicate(timeout=timeout)
        assert self.process.returncode == 0, error
        return json.loads(out.splitlines()[-1])

    def returned(self) -> list[int]:
        """Calls that have returned, of each thread."""
        content = self.returned_path.read_bytes()[:8 * self.threads].ljust(8 * self.threads, b"\0")
        return list(struct.unpack(f"<{self.threads}Q", content))

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def numbers(daemon: Daemon) -> dict[int, list[int]]:
    """What the log holds of each thread's records, in its order."""
    found: dict[int, list[int]] = {}
    for message in daemon.cat():
        if match := re.match(rb"(\d+):(\d+) ", message):
            found.setdefault(int(match[1]), []).append(int(match[2]))
    return found


def wait_until_all_log(*clients: Client) -> None:
    """Until each thread has logged something: one that has reached no daemon yet drops, and that is no fault."""
    eventually(lambda: all(count > 0 for client in clients for count in client.returned()), 60)

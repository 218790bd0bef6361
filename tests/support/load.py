"""Numbered lines at a set rate, and the check that each came out exactly once and in order."""

import re
import socket
import threading
import time
from collections.abc import Callable

_PATTERN = re.compile(rb"load-(\w+)-(\d{9})")


_BLOCK = 1000  # lines that differ in their last three digits: a block is made by one replace, faster than it is sent


def _block(name: str, size: int) -> bytes:
    """_BLOCK lines `load-NAME-######042 xxx...` of `size` bytes each, newline included."""
    heads = (b"load-%s-######%03d " % (name.encode(), number) for number in range(_BLOCK))
    return b"".join(head + b"x" * (size - len(head) - 1) + b"\n" for head in heads)


class Load(threading.Thread):
    """Sends numbered lines over one connection until stopped or until `count` are sent.

    `sent` counts lines whose sendall() has returned; `error` is what ended it early, e.g. a killed daemon.
    """

    def __init__(self, connect: Callable[[], socket.socket], name: str = "a", rate: float = 20_000,
                 count: int | None = None, size: int = 100):
        super().__init__(daemon=True)
        self.name_in_lines, self.rate, self.count, self.size = name, rate, count, size
        self.sent = 0
        self.error: OSError | None = None
        self._connection = connect()
        self._stop_asked = threading.Event()

    def run(self) -> None:
        template = _block(self.name_in_lines, self.size)
        batch = max(1, min(_BLOCK, int(self.rate / 200)))
        started, first = time.monotonic(), self.sent
        try:
            while not self._stop_asked.is_set() and self.sent != self.count:
                lines = self._next_lines(template, batch)
                self._connection.sendall(lines)
                self.sent += len(lines) // self.size
                ahead = (self.sent - first) / self.rate - (time.monotonic() - started)
                if ahead > 0:
                    self._stop_asked.wait(ahead)
        except OSError as error:
            self.error = error
        finally:
            self._connection.close()

    def _next_lines(self, template: bytes, batch: int) -> bytes:
        """The next lines, at most `batch` and never past a block's end or `count`."""
        block, line = divmod(self.sent, _BLOCK)
        lines = min(batch, _BLOCK - line, batch if self.count is None else self.count - self.sent)
        part = template[line * self.size:(line + lines) * self.size]
        return part.replace(b"######", b"%06d" % block)

    def stop(self) -> int:
        """Ends it; returns how many lines were sent."""
        self._stop_asked.set()
        self.join(60)
        assert not self.is_alive(), "the daemon no longer reads"
        return self.sent

    def finish(self, timeout: float = 120) -> int:
        """Waits until all `count` lines are sent."""
        self.join(timeout)
        assert not self.is_alive() and self.error is None, (self.sent, self.error)
        return self.sent


def numbers(output: bytes, name: str = "a") -> list[int]:
    """The numbers of that name's lines, in the order they stand in."""
    wanted = name.encode()
    return [int(found[2]) for found in _PATTERN.finditer(output) if found[1] == wanted]


def check_exactly_once(output: bytes, count: int, name: str = "a") -> None:
    """Every line 0..count-1 once, in order; says which is the first that is not."""
    found = numbers(output, name)
    for expected, number in enumerate(found):
        assert number == expected, f"{name}: {number} where {expected} was due; {len(found)} of {count} lines"
    assert len(found) == count, f"{name}: {len(found)} lines, {count} were sent"

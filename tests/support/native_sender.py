"""A sender on a thread of its own that never stops sending, and knows what has been acknowledged to it.

It numbers its records from 1, knows how far they are stored and synced, and after a broken connection may go on with the
first that was not acknowledged. It says who it is, so a record that a daemon has stored and died over is there once.
Record n reads `NAME-<n-1> filling`.
"""

import os
import random
import select
import socket
import struct
import threading
import time

from support.native_client import ACK, ERROR, REFUSED, STORED, SYNCED, batch, hello, record

WANTED = {"stored": STORED, "synced": SYNCED}
WINDOW_RECORDS = 4000


class NativeSender(threading.Thread):
    """One connection and its records. `resends`: connects again when it breaks, until stopped."""

    def __init__(self, connect, name: str, wanted: str, seed: int, resends: bool = False):
        super().__init__(daemon=True)
        self.name = name
        self.stored = self.synced = 0  # cumulative, as the daemon said it
        self.refused: list[tuple[int, int, int]] = []
        self.sent = 0
        self.client = os.urandom(16)
        self.reconnections = 0
        self.failure: BaseException | None = None
        self._connect, self._wanted, self._resends = connect, wanted, resends
        self._chance = random.Random(seed)
        self._ends, self._pauses = threading.Event(), threading.Event()
        self._received = b""

    # Any thread.

    @property
    def acknowledged(self) -> int:
        return self.synced if self._wanted == "synced" else self.stored

    def stop(self) -> None:
        self._ends.set()
        self.join(60)

    def finish(self, timeout: float = 60) -> None:
        """Sends no more, waits until everything sent has been acknowledged, and ends."""
        self._pauses.set()
        end = time.monotonic() + timeout
        while self.acknowledged < self.sent:
            assert self.failure is None, self.failure
            assert time.monotonic() < end, f"{self.name}: {self.acknowledged} of {self.sent} acknowledged, {self.refused}"
            time.sleep(0.005)
        self.stop()

    # Its own thread.

    def run(self) -> None:
        while not self._ends.is_set():
            try:
                with self._connect() as connection:
                    self._converse(connection)
            except OSError as error:
                if not self._resends:
                    self.failure = error
                    return
                self.reconnections += 1
                self._ends.wait(0.01)
            except AssertionError as error:
                self.failure = error
                return

    def _converse(self, connection: socket.socket) -> None:
        self._received = b""
        next_number = self.acknowledged + 1
        connection.sendall(hello(next_number, b"native", client=self.client))
        while not self._ends.is_set():
            full = next_number - 1 - self.acknowledged >= WINDOW_RECORDS or (self._pauses.is_set() and next_number > self.sent)
            poll = select.poll()  # select() knows no descriptor over 1023
            poll.register(connection, select.POLLIN | (0 if full else select.POLLOUT))
            ready = poll.poll(20)
            events = ready[0][1] if ready else 0
            if events & ~select.POLLOUT:
                self._read(connection)
            if events & select.POLLOUT:
                records = [record(self._text(next_number + i)) for i in range(self._chance.randrange(1, 30))]
                connection.sendall(batch(next_number, records, WANTED[self._wanted]))
                next_number += len(records)
                self.sent = max(self.sent, next_number - 1)

    def _text(self, number: int) -> bytes:
        """The same for a number whenever it is sent, so that a test may compare."""
        return f"{self.name}-{number - 1} ".encode() + b"f" * (number * 7919 % 1500)

    def _read(self, connection: socket.socket) -> None:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError("the daemon has closed the connection")
        self._received += piece
        while len(self._received) >= 16:
            length, kind, detail, _, number = struct.unpack_from("<IBBHQ", self._received)
            assert length % 8 == 0 and length >= 16, self._received[:16].hex()
            if len(self._received) < length:
                return
            self._take(kind, detail, number, self._received[16:length])
            self._received = self._received[length:]

    def _take(self, kind: int, detail: int, number: int, body: bytes) -> None:
        if kind == ACK:
            synced = struct.unpack_from("<Q", body)[0]
            assert synced <= number, "synced passes stored"
            self.stored, self.synced = max(self.stored, number), max(self.synced, synced)
        elif kind == REFUSED:
            self.refused.append((number, struct.unpack_from("<Q", body)[0], detail))
        elif kind == ERROR:
            raise ConnectionError(f"ERROR {detail}: {body[:number].decode(errors='replace')}")

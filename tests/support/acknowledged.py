"""Senders that know what has been acknowledged to them, and how to find it again in a log.

A line reads `NAME-NUMBER filling`; a sender's numbers go up from 0, and `acknowledged[i]` of them have been acknowledged.
"""

import http.client
import random
import re
import socket
import threading
import time

from support.daemon import Daemon
from support.native_sender import NativeSender


class _ControlConnection(http.client.HTTPConnection):
    def __init__(self, path: str):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def ask_to_sync(daemon: Daemon) -> None:
    """As `fastlogctl sync`, without starting a program: returns when everything committed before is on disk."""
    connection = _ControlConnection(str(daemon.folder / "run" / "control.sock"))
    try:
        connection.request("POST", "/sync?stream=main")
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
    finally:
        connection.close()


class SyncedLines:
    """Lines over some Unix stream connections, acknowledged by a sync of everything once they are stored.

    `waits_for_sync` False takes stored for synced: what a test of a power loss has to catch.
    """

    def __init__(self, daemon: Daemon, senders: int, seed: int, waits_for_sync: bool = True):
        self.daemon = daemon
        self.names = [f"s{i}" for i in range(senders)]
        self.acknowledged = [0] * senders
        self._waits_for_sync = waits_for_sync
        self._chance = random.Random(seed)
        self._sent = [0] * senders
        self._ticks = 0
        self._before = 0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.failure: BaseException | None = None

    def start(self) -> "SyncedLines":
        self._before = self.daemon.metrics().stored
        self._thread.start()
        return self

    def stop(self) -> None:
        self._ends.set()
        self._thread.join(60)

    def counts(self) -> list[int]:
        """What is acknowledged now, one number a sender."""
        return list(self.acknowledged)

    def _run(self) -> None:
        try:
            connections = [self.daemon.connect() for _ in self.names]
            while not self._ends.is_set():
                self._burst(connections)
        except (OSError, AssertionError) as error:
            self.failure = error

    def _burst(self, connections: list[socket.socket]) -> None:
        for i, connection in enumerate(connections):
            lines = []
            for _ in range(self._chance.randrange(1, 40)):
                lines.append(f"{self.names[i]}-{self._sent[i]} " + "f" * self._chance.choice((10, 200, 3000)))
                self._sent[i] += 1
            connection.sendall("\n".join(lines).encode() + b"\n")
        self._wait_until_committed(connections[0])
        if self._waits_for_sync:
            ask_to_sync(self.daemon)
        self.acknowledged = list(self._sent)

    def _wait_until_committed(self, connection: socket.socket) -> None:
        """A record is counted as stored a moment before it is committed: at the latest when the appender's next cycle
        begins, which a line more brings about."""
        while (now := self.daemon.metrics()).stored - self._before < sum(self._sent) + self._ticks:
            time.sleep(0.001)
        cycles = "fastlogd_appender_duty_cycles_total"
        connection.sendall(b"tick\n")
        self._ticks += 1
        while self.daemon.metrics().sum(cycles) == now.sum(cycles):
            time.sleep(0.001)


class NativeSenders:
    """Senders of the native protocol, each on a connection of its own, each record acknowledged by the daemon.

    `taken_for_synced`: what counts as acknowledged; "stored" is what a test of a power loss has to catch.
    """

    def __init__(self, daemon: Daemon, senders: int, seed: int, taken_for_synced: str = "synced"):
        self.names = [f"n{i}" for i in range(senders)]
        self._senders = [NativeSender(daemon.connect, name, taken_for_synced, seed + i) for i, name in enumerate(self.names)]

    @property
    def failure(self) -> BaseException | None:
        return next((sender.failure for sender in self._senders if sender.failure), None)

    def start(self) -> "NativeSenders":
        for sender in self._senders:
            sender.start()
        return self

    def stop(self) -> None:
        for sender in self._senders:
            sender.stop()

    def counts(self) -> list[int]:
        """What is acknowledged now, one number a sender."""
        return [sender.acknowledged for sender in self._senders]


def what_is_missing(found: bytes, names: list[str], acknowledged: list[int], removed: bool = False) -> str:
    """Compares messages, one a line, with what was acknowledged; "" if all of it is there.

    `removed`: retention has been at work, so a sender's oldest lines may be gone. Nothing else may be.
    """
    numbers: dict[str, list[int]] = {name: [] for name in names}
    for name, number in re.findall(rb"^(\w+)-(\d+) ", found, re.MULTILINE):
        if name.decode() in numbers:
            numbers[name.decode()].append(int(number))
    for name, count in zip(names, acknowledged):
        have = [number for number in numbers[name] if number < count]
        first = have[0] if have and removed else 0
        if count and have != list(range(first, count)):
            wrong = next((i for i, number in enumerate(have) if number != first + i), len(have))
            return f"{name}: {count} were acknowledged, {len(have)} of them found, the first wrong or missing is {first + wrong}"
    return ""

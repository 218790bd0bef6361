"""A client of the native protocol written from src/wire/FORMAT.md alone, with nothing but the standard library."""

import dataclasses
import socket
import struct
import time

MAGIC = bytes.fromhex("f5666c6f670d0a00")
HELLO, BATCH, FLUSH, PING = 1, 2, 3, 4
WELCOME, ACK, REFUSED, ERROR, PONG = 129, 130, 131, 132, 133
NOTHING, STORED, SYNCED = 0, 1, 2
TOO_LARGE, MALFORMED, STREAM_FULL, DURABILITY_UNKNOWN, SHUTTING_DOWN = 1, 2, 3, 4, 5


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


def message(kind: int, number: int, body: bytes = b"", detail: int = 0) -> bytes:
    body = padded(body)
    return struct.pack("<IBBHQ", 16 + len(body), kind, detail, 0, number) + body


def hello(first: int = 1, identifier: bytes = b"", host: bytes = b"", lowest: int = 1, highest: int = 1,
          client: bytes = b"") -> bytes:
    fields = struct.pack("<HHIBBB5x", lowest, highest, 0, len(identifier), len(host), len(client))
    return MAGIC + message(HELLO, first, fields + identifier + host + client)


def record(text: bytes, *, priority: int = 14, wanted: int = 0, when: int | None = None, identifier: bytes = b"",
           procid: bytes = b"", msgid: bytes = b"", data: bytes = b"") -> bytes:
    content = data + b" " + text if data else text
    head = struct.pack("<IIBBBBB3x", len(content), len(data) + 1 if data else 0, priority,
                       wanted | (4 if when is not None else 0), len(identifier), len(procid), len(msgid))
    clock = b"" if when is None else struct.pack("<q", when)
    return padded(head + clock + identifier + procid + msgid + content)


def batch(first: int, records: list[bytes], wanted: int = STORED) -> bytes:
    return message(BATCH, first, struct.pack("<II", len(records), 0) + b"".join(records), wanted)


@dataclasses.dataclass
class Answer:
    kind: int
    detail: int
    number: int
    body: bytes

    @property
    def second(self) -> int:
        return struct.unpack_from("<Q", self.body)[0]


class NativeClient:
    """Sends at once, reads when asked. `stored`, `synced` and `refused` (number -> reason) are what has been heard."""

    def __init__(self, connection: socket.socket, first: int = 1, identifier: bytes = b"tester", host: bytes = b"",
                 greet: bool = True, client: bytes = b""):
        self.connection = connection
        self.connection.settimeout(30)
        self.next = first
        self.stored = self.synced = first - 1
        self.refused: dict[int, int] = {}
        self.error: tuple[int, bytes] | None = None
        self.welcome: Answer | None = None
        self.pongs: list[int] = []
        self.closed = False
        self._rest = b""
        if greet:
            self.connection.sendall(hello(first, identifier, host, client=client))

    def __enter__(self) -> "NativeClient":
        return self

    def __exit__(self, *_) -> None:
        self.connection.close()

    # Sending.

    def send(self, texts: list[bytes], wanted: int = STORED, **fields) -> int:
        """One BATCH; returns the number of its last record."""
        self.connection.sendall(batch(self.next, [record(text, **fields) for text in texts], wanted))
        self.next += len(texts)
        return self.next - 1

    def flush(self) -> None:
        self.connection.sendall(message(FLUSH, self.next - 1))

    def ping(self, number: int) -> None:
        self.connection.sendall(message(PING, number))

    def finish(self) -> None:
        """Nothing more to say: hears the rest, until the daemon closes."""
        self.connection.shutdown(socket.SHUT_WR)
        self.listen(lambda: False)

    # Hearing.

    def answer(self) -> Answer | None:
        """The next one; None when the daemon has closed."""
        while True:
            if len(self._rest) >= 16:
                length, kind, detail, zero, number = struct.unpack_from("<IBBHQ", self._rest)
                assert length >= 16 and length % 8 == 0 and zero == 0, (length, zero)
                if len(self._rest) >= length:
                    body, self._rest = self._rest[16:length], self._rest[length:]
                    return Answer(kind, detail, number, body)
            try:
                more = self.connection.recv(1 << 16)
            except ConnectionResetError:
                more = b""
            if not more:
                self.closed = True
                return None
            self._rest += more

    def listen(self, enough, timeout: float = 30.0) -> None:
        """Takes answers until enough() is true, the daemon has closed, or the time is over (then it fails)."""
        end = time.monotonic() + timeout
        while not enough() and not self.closed:
            left = end - time.monotonic()
            assert left > 0, f"stored {self.stored}, synced {self.synced}, refused {self.refused}"
            self.connection.settimeout(left)
            try:
                answer = self.answer()
            except TimeoutError:
                continue
            if answer is not None:
                self._take(answer)

    def wait_stored(self, number: int, timeout: float = 30.0) -> None:
        self.listen(lambda: self.stored >= number, timeout)
        assert self.stored >= number, (self.stored, self.error)

    def wait_synced(self, number: int, timeout: float = 30.0) -> None:
        self.listen(lambda: self.synced >= number, timeout)
        assert self.synced >= number, (self.synced, self.error)

    def _take(self, answer: Answer) -> None:
        if answer.kind == WELCOME:
            self.welcome = answer
        elif answer.kind == ACK:
            assert self.stored <= answer.number < self.next, "acknowledgements never go back, nor ahead"
            assert self.synced <= answer.second <= answer.number
            self.stored, self.synced = answer.number, answer.second
        elif answer.kind == REFUSED:
            assert answer.number <= answer.second < self.next
            assert answer.detail == DURABILITY_UNKNOWN or answer.number > self.stored, "refused after it was called stored"
            self.refused |= dict.fromkeys(range(answer.number, answer.second + 1), answer.detail)
        elif answer.kind == ERROR:
            self.error = answer.detail, answer.body[:answer.number]
        elif answer.kind == PONG:
            self.pongs.append(answer.number)

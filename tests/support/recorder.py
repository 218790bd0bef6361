"""The oracle: sockets that only record what a client sends, byte for byte, one entry per connection or datagram."""

import selectors
import socket
import threading

_SO_RCVBUFFORCE = 33  # the module socket does not name it


class Recorder:
    """Listens on a Unix path or a free loopback port until closed; use it as a context manager.

    kind: "unix-stream", "unix-datagram", "tcp" or "udp". `connections` holds the bytes of each stream connection in
    the order of acceptance, `datagrams` the datagrams in the order of arrival.
    """

    def __init__(self, kind: str, path: str | None = None):
        family = socket.AF_UNIX if kind.startswith("unix") else socket.AF_INET
        self.is_stream = kind in ("unix-stream", "tcp")
        self._socket = socket.socket(family, socket.SOCK_STREAM if self.is_stream else socket.SOCK_DGRAM)
        if not self.is_stream:
            self._make_room(64 << 20)
        self._socket.bind(path if family == socket.AF_UNIX else ("127.0.0.1", 0))
        if self.is_stream:
            self._socket.listen(128)
        self.path = path
        self.port = 0 if family == socket.AF_UNIX else self._socket.getsockname()[1]
        self.connections: list[bytearray] = []
        self.datagrams: list[bytes] = []
        self._open = 0
        self._wake_read, self._wake_write = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _make_room(self, size: int) -> None:
        """Of what comes over UDP while this thread does not run, the rest is lost. Only root may have more than rmem_max."""
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _run(self) -> None:
        waiting = selectors.DefaultSelector()
        waiting.register(self._socket, selectors.EVENT_READ, self._on_listener)
        waiting.register(self._wake_read, selectors.EVENT_READ, None)
        stopping = False
        while True:
            # Once told to stop, take what is already there: clients have ended by then.
            ready = waiting.select(0.05 if stopping else None)
            if stopping and not ready:
                return
            for key, _ in ready:
                if key.data is None:
                    waiting.unregister(self._wake_read)
                    stopping = True
                else:
                    key.data(key.fileobj, waiting)

    def _on_listener(self, listener: socket.socket, waiting: selectors.BaseSelector) -> None:
        if not self.is_stream:
            self.datagrams.append(listener.recv(1 << 20))
            return
        connection, _ = listener.accept()
        received = bytearray()
        self.connections.append(received)

        def on_bytes(sender: socket.socket, waiting: selectors.BaseSelector) -> None:
            data = sender.recv(1 << 20)
            received.extend(data)
            if not data:
                waiting.unregister(sender)
                sender.close()

        waiting.register(connection, selectors.EVENT_READ, on_bytes)

    def close(self) -> None:
        """Takes what is still in the socket's buffer, then stops."""
        self._wake_write.send(b"x")
        self._thread.join(10)
        for used in (self._socket, self._wake_read, self._wake_write):
            used.close()

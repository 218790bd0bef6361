"""A service manager as far as the daemon knows one: it is told things, binds sockets, and keeps descriptors."""

import array
import contextlib
import os
import pathlib
import socket
import subprocess
import threading
import time

from support.daemon import BIN, Daemon, eventually


class ServiceManager:
    """Listens on a NOTIFY_SOCKET, collects what is said, and keeps what it is given (FDSTORE=1)."""

    def __init__(self, folder: pathlib.Path):
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.setblocking(False)
        self.said: list[dict[str, str]] = []
        self.kept: dict[str, list[int]] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._listen_on, daemon=True).start()

    def _listen_on(self) -> None:
        """The queue of such a socket may be ten messages long, and who finds it full waits."""
        while True:
            self.listen()
            time.sleep(0.02)

    def listen(self) -> None:
        """Afterwards all that was said before has been heard."""
        with self._lock, contextlib.suppress(BlockingIOError):
            while True:
                text, descriptors = self._receive()
                message = dict(line.split("=", 1) for line in text.splitlines())
                if message.get("FDSTORE") == "1":
                    self.kept.setdefault(message["FDNAME"], []).extend(descriptors)
                if message.get("FDSTOREREMOVE") == "1":
                    for fd in self.kept.pop(message["FDNAME"], []):
                        os.close(fd)
                self.said.append(message)

    def _receive(self) -> tuple[str, list[int]]:
        text, controls, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(64))
        descriptors = array.array("i")
        for level, kind, data in controls:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(data[:len(data) // 4 * 4])
        return text.decode(), list(descriptors)

    def heard(self, **fields: str) -> bool:
        """True if one message since the last forget() had all these fields."""
        self.listen()
        return any(fields.items() <= message.items() for message in self.said)

    def forget(self) -> None:
        self.listen()
        self.said.clear()

    def start(self, daemon: Daemon) -> None:
        """Starts it with everything that is kept."""
        self.listen()
        activate(daemon, [(name, fd) for name, descriptors in self.kept.items() for fd in descriptors],
                 NOTIFY_SOCKET=self.path)


def activate(daemon: Daemon, named: list[tuple[str, int]], **environment: str) -> None:
    """Starts the daemon with copies of these descriptors as 3 and up, under their names."""
    daemon.write_config()
    first = 100  # out of the way of the places they go to
    copies = []
    for number, (_, fd) in enumerate(named):
        copies.append(first + number)
        os.dup2(fd, first + number)
    arguments = [str(BIN / "fastlogd"), "--config", str(daemon.config_path)]
    moves = " ".join(f"{3 + n}<&{fd} {fd}<&-" for n, fd in enumerate(copies))
    # LISTEN_PID must be the daemon's own pid, which only a shell that becomes the daemon knows.
    names = ":".join(name for name, _ in named)
    script = f'LISTEN_PID=$$ LISTEN_FDS={len(copies)} LISTEN_FDNAMES={names} exec "$@" {moves}'
    with daemon.stderr_path.open("ab") as errors:
        daemon.process = subprocess.Popen(["bash", "-c", script, "bash", *arguments], pass_fds=copies, stderr=errors,
                                          stdin=subprocess.DEVNULL, env=os.environ | environment)
    for fd in copies:
        os.close(fd)
    eventually(daemon.is_ready, 20)

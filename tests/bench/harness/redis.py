"""Redis with a stream whose every entry is synced before it is answered."""

import pathlib
import re

from harness import packages
from harness.process import Process


class Redis:
    def __init__(self):
        self._program = packages.find("redis-server", "redis-server")
        version = re.search(r"v=(\S+)", self._program.version)
        self.setup = f"Redis {version[1] if version else self._program.version}; XADD over a Unix socket, appendonly yes, appendfsync always, no snapshots"
        self.socket_path: pathlib.Path | None = None
        self.process: Process | None = None

    def start(self, folder: pathlib.Path) -> None:
        self.socket_path = folder / "redis.sock"
        self.process = Process(
            [self._program.path, "--port", "0", "--unixsocket", str(self.socket_path), "--dir", str(folder), "--save", "",
             "--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no"],
            folder, self._program.environment)
        self.process.wait_for(self.socket_path.exists)

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()
            self.process = None

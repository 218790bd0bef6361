"""The real daemon in a temporary folder: configured, started, asked, stopped or killed by a test."""

import contextlib
import functools
import http.client
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import time

from support.metrics import Metrics
from support.senders import Target
from support.source_tree import ROOT

BIN = pathlib.Path(os.environ.get("FASTLOGD_BIN", ROOT / "build" / "release" / "bin"))
READY_SECONDS = 20
MIB = 1 << 20


_claims: list[socket.socket] = []  # held as long as this process lives


@functools.cache
def _ports_to_choose_from() -> list[int]:
    """Not those that the kernel gives to whoever names none: one of these may be taken between its choice and its bind."""
    low, high = map(int, pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    return [*range(10_000, low), *range(high + 1, 1 << 16)] or list(range(10_000, 1 << 16))


def free_port() -> int:
    """A loopback port nobody uses, for TCP and UDP; another one each time, and in each process that runs tests."""
    while True:
        port = random.SystemRandom().choice(_ports_to_choose_from())
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with contextlib.suppress(OSError), socket.socket() as probe, socket.socket(type=socket.SOCK_DGRAM) as other:
            claim.bind(f"\0fastlogd-test-port-{port}")  # first: the probes would be in its owner's way
            probe.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port))
            _claims.append(claim)
            return port
        claim.close()


def eventually(what, timeout: float = 10.0, interval: float = 0.01):
    """The first true value of what(), or an error when the time is over."""
    end = time.monotonic() + timeout
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < end, f"not within {timeout} s: {getattr(what, '__name__', what)}"
        time.sleep(interval)


class Daemon:
    """`config` is the configuration as a dict; change it before start(), or later and call write_config().

    Written as JSON, which is YAML. One stream `main` with 4 MiB segments, one listener of each transport.
    """

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.config_path = folder / "fastlogd.yaml"
        self.log_directory = folder / "log" / "main"
        self.text_path = folder / "log" / "main.log"
        self.stderr_path = folder / "stderr"
        self.http_port, self.syslog_port = free_port(), free_port()
        self.process: subprocess.Popen | None = None
        (folder / "run").mkdir()
        (folder / "log").mkdir()
        self.config = {
            "runtime_directory": str(folder / "run"),
            "streams": {"main": {
                "directory": str(self.log_directory), "segment_bytes": "4MiB",
                "durability": {"mode": "interval", "interval": "1s"},
                "retention": {"bytes_max": "8GiB", "keep_free": "64MiB"},
            }},
            "listeners": [
                {"name": "app", "transport": "unix-stream", "path": str(folder / "run/app.sock"), "stream": "main"},
                {"name": "devlog", "transport": "unix-datagram", "path": str(folder / "run/log.sock"), "stream": "main"},
                {"name": "tcp", "transport": "tcp", "address": "127.0.0.1", "port": self.syslog_port, "stream": "main"},
                {"name": "udp", "transport": "udp", "address": "127.0.0.1", "port": self.syslog_port, "stream": "main"},
            ],
            "http": {"address": "127.0.0.1", "port": self.http_port},
        }

    # What a test changes most often.

    @property
    def stream(self) -> dict:
        return self.config["streams"]["main"]

    def listener(self, name: str) -> dict:
        return next(listener for listener in self.config["listeners"] if listener["name"] == name)

    def with_text(self, **options) -> "Daemon":
        self.stream["text"] = {"path": str(self.text_path), "rotate_bytes": "100MiB", "keep": 10} | options
        return self

    def target(self, kind: str) -> Target:
        """Where a sender of that transport finds this daemon."""
        if kind.startswith("unix"):
            name = {"unix-stream": "app", "unix-datagram": "devlog"}[kind]
            return Target(kind, path=self.listener(name)["path"])
        return Target(kind, port=self.syslog_port)

    def connect(self) -> socket.socket:
        """A connection to the Unix stream listener."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(self.target("unix-stream").path)
        return connection

    # Life.

    def write_config(self, path: pathlib.Path | None = None) -> pathlib.Path:
        path = path or self.config_path
        path.write_text(json.dumps(self.config, indent=2) + "\n")
        return path

    def spawn(self, *options: str, prefix: tuple[str, ...] = (), **environment: str) -> subprocess.Popen:
        """Starts the process without waiting; stderr is added to stderr_path."""
        with self.stderr_path.open("ab") as errors:
            self.process = subprocess.Popen(
                [*prefix, str(BIN / "fastlogd"), "--config", str(self.config_path), *options],
                stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, env=os.environ | environment)
        return self.process

    def start(self, *options: str, prefix: tuple[str, ...] = (), **environment: str) -> "Daemon":
        """Writes the configuration, starts, and waits for /readyz to say 200."""
        self.write_config()
        self.spawn(*options, prefix=prefix, **environment)
        eventually(self.is_ready, READY_SECONDS)
        return self

    def is_ready(self) -> bool:
        assert self.process.poll() is None, f"exited with {self.process.returncode}:\n{self.stderr()}"
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def stop(self, timeout: float = 30.0) -> int:
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def kill(self) -> None:
        for child in self._children():  # under strace the daemon would outlive it
            os.kill(child, signal.SIGKILL)
        self.process.kill()
        self.process.wait(10)

    def _children(self) -> list[int]:
        pid = self.process.pid
        with contextlib.suppress(OSError):
            return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return []

    def restart(self) -> "Daemon":
        assert self.stop() == 0, self.stderr()
        return self.start()

    def stderr(self) -> str:
        return self.stderr_path.read_text(errors="replace") if self.stderr_path.exists() else ""

    def last_balance(self) -> dict[str, int]:
        """What it said it had done, when it had stopped: received, stored, dropped, in flight."""
        said = self.stderr().rsplit("stopped after", 1)[1].splitlines()[0]
        return {name: int(count) for name, count in re.findall(r"(received|stored|dropped|in flight) (\d+)", said)}

    # Questions.

    def get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()

    def metrics(self) -> Metrics:
        status, text = self.get("/metrics")
        assert status == 200, (status, text)
        return Metrics(text)

    def quiesce(self, received: int | None = None, timeout: float = 30.0) -> Metrics:
        """Waits until nothing is in flight (and `received` records have come in); the equation holds all the while."""
        def settled() -> Metrics | None:
            now = self.metrics()
            now.check_equation()
            done = now.in_flight == 0 and (received is None or now.received >= received)
            return now if done else None
        return eventually(settled, timeout)

    def ctl(self, *arguments: str, timeout: float = 60.0, check: bool = True) -> subprocess.CompletedProcess:
        """fastlogctl with this daemon's configuration; stdout and stderr are bytes."""
        done = subprocess.run(self.ctl_command(*arguments), stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout)
        assert not check or done.returncode == 0, (arguments, done.returncode, done.stderr.decode(errors="replace"))
        return done

    def ctl_command(self, *arguments: str) -> list[str]:
        return [str(BIN / "fastlogctl"), arguments[0], "--config", str(self.config_path), *arguments[1:]]

    def cat(self, *options: str, damaged: bool = False) -> list[bytes]:
        """The stored messages, one each line; [] when there are none. `damaged`: some are known to be lost."""
        done = self.ctl("cat", "-o", "cat", *options, check=False)
        assert done.returncode in ((3,) if damaged else (0, 1)), done.stderr.decode(errors="replace")
        return done.stdout.split(b"\n")[:-1]

    def cat_json(self, *options: str) -> list[dict]:
        done = self.ctl("cat", "-o", "json", *options, check=False)
        assert done.returncode in (0, 1), done.stderr.decode(errors="replace")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def verify(self) -> None:
        """`fastlogctl verify` finds the log sound."""
        done = self.ctl("verify", check=False, timeout=300.0)
        assert done.returncode == 0, (done.returncode, done.stdout.decode(), done.stderr.decode())

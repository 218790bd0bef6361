"""The examples of docs/examples read what a daemon writes: byte for byte, across rolls, restarts and retention."""

import contextlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
from support.daemon import Daemon, eventually
from support.installed import install
from support.source_tree import ROOT

EXAMPLES = ROOT / "docs" / "examples"
RETENTION = 8  # FASTLOG_GAP_RETENTION
ROUND_BYTES = 3 << 20


def run(*command, **environment: str) -> str:
    done = subprocess.run(command, env=os.environ | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def c_example(folder: pathlib.Path, packages: str) -> list[str]:
    if not shutil.which("cc"):
        pytest.skip("no C compiler")
    flags = run("pkg-config", "--cflags", "--libs", "fastlog", PKG_CONFIG_PATH=packages).split()
    run("cc", "-Wall", "-Wextra", "-Werror", EXAMPLES / "follow.c", "-o", folder / "follow", *flags)
    return [str(folder / "follow")]


def python_example(folder: pathlib.Path, packages: str) -> list[str]:
    return [sys.executable, str(EXAMPLES / "follow.py")]


def go_example(folder: pathlib.Path, packages: str) -> list[str]:
    if not shutil.which("go"):
        pytest.skip("Go is not installed")
    shutil.copytree(EXAMPLES / "go", folder / "go")
    run("go", "build", "-o", folder / "follow_go", folder / "go" / "follow.go", PKG_CONFIG_PATH=packages, HOME=str(folder),
        GOCACHE=os.environ.get("GOCACHE", str(folder / "cache")), GO111MODULE="off")
    return [str(folder / "follow_go")]


class Sender:
    """One connection after another; remembers what was sent. Lines hold any byte but the one that ends them."""

    def __init__(self, daemon: Daemon, seed: int):
        self.daemon, self.random, self.sent = daemon, random.Random(seed), []

    def send(self, size: int) -> None:
        lines, total = [], 0
        while total < size:
            size_here = self.random.choice((0, 7, 100, 100, 3000)) if lines else 0  # the first shows that LF ends a line
            body = self.random.randbytes(size_here).replace(b"\n", b"\0")
            lines.append(b"m%d %s." % (len(self.sent) + len(lines), body))
            total += len(lines[-1]) + 1
        self.sent += lines
        with self.daemon.connect() as connection:
            connection.sendall(b"\n".join(lines) + b"\n")
        # Not before they are stored: the daemon is restarted in between.
        eventually(lambda: self.daemon.metrics().stored >= len(self.sent) - self.before_restart, 30)

    before_restart = 0

    def restart(self) -> None:
        self.daemon.restart()
        self.before_restart = len(self.sent)

    def kill_and_start(self) -> None:
        self.daemon.kill()
        self.daemon.start()
        self.before_restart = len(self.sent)


class Followed:
    """An example's output, checked line by line as it comes."""

    def __init__(self, output: pathlib.Path):
        self.file, self.rest, self.expected, self.gaps = output.open("rb"), b"", 1, []

    def check(self, sent: list[bytes]) -> bool:
        """True when all that was sent has come out or is named by a gap."""
        *lines, self.rest = (self.rest + self.file.read()).split(b"\n")
        for line in lines:
            first, rest = line.split(b"\t", 1)
            if first == b"gap":
                count, reason = map(int, rest.split(b"\t"))
                self.gaps.append((count, reason))
                self.expected += count
                continue
            assert int(first) == self.expected and rest == sent[self.expected - 1], (first, self.expected)
            self.expected += 1
        return self.expected == len(sent) + 1


@contextlib.contextmanager
def following(command: list[str], output: pathlib.Path, library: pathlib.Path):
    with output.open("wb") as out, output.with_suffix(".err").open("wb") as errors:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors,
                                   env=os.environ | {"LD_LIBRARY_PATH": str(library)})
        try:
            yield process
            assert process.poll() is None, output.with_suffix(".err").read_text()
        finally:
            process.kill()
            process.wait(10)


def retention_rests(daemon) -> bool:
    """Nothing comes or goes for more than two of its rounds, so a reader that goes on now is overtaken once."""
    before = sorted(daemon.log_directory.glob("*.flog"))
    time.sleep(2.5)
    return sorted(daemon.log_directory.glob("*.flog")) == before and len(before) <= 16


@pytest.mark.parametrize("example", [c_example, python_example, go_example])
def test_an_example_reads_everything_byte_for_byte(idle_daemon, folder, example):
    install(folder / "root")
    library = folder / "root/usr/lib"
    command = example(folder, str(library / "pkgconfig"))
    seed = int(os.environ.get("FASTLOGD_SEED", time.time_ns() % 1_000_000))
    print("seed", seed)
    daemon = idle_daemon
    daemon.stream.update({"segment_bytes": "1MiB", "retention": {"bytes_max": "8MiB", "keep_free": "0"}})
    daemon.start()
    sender = Sender(daemon, seed)
    sender.send(ROUND_BYTES)
    output = folder / "followed"
    with following([*command, str(daemon.log_directory)], output, library) as process:
        followed = Followed(output)
        eventually(lambda: followed.check(sender.sent), 60)
        for turn in range(6):  # rolls, a restart and a kill -9 between two of them, files removed behind the reader
            sender.send(ROUND_BYTES)
            eventually(lambda: followed.check(sender.sent), 60)
            if turn == 2:
                sender.restart()
            elif turn == 3:
                sender.kill_and_start()
        assert not followed.gaps and not (daemon.log_directory / f"{1:020}.flog").exists()
        process.send_signal(signal.SIGSTOP)
        sender.send(6 * ROUND_BYTES)  # retention is faster
        eventually(lambda: retention_rests(daemon), 30)
        process.send_signal(signal.SIGCONT)
        sender.send(1000)
        eventually(lambda: followed.check(sender.sent), 60)
        assert [reason for _, reason in followed.gaps] == [RETENTION] and followed.gaps[0][0] > 1000, followed.gaps

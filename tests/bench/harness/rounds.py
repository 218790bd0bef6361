"""One round: a contender, started afresh in an empty folder, measured once, stopped, its folder removed."""

import json
import pathlib
import shutil
import subprocess
import tempfile
import time

from harness.figures import Run
from harness.machine import warm_memory
from harness.paths import CORPUS, tool
from harness.servers import Server

ROUND_SECONDS_MAX = 1800


def run_json(command: list[str], seconds: float = ROUND_SECONDS_MAX) -> dict:
    """Runs a tool and returns the JSON object of its last line."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise RuntimeError(f"{pathlib.Path(command[0]).name}: {(done.stderr or done.stdout).strip()[-1000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


class Folder:
    """A fresh folder on the file system under measurement; gone afterwards. Writes back what others left first, and
    touches the memory that is free."""

    def __init__(self, parent: pathlib.Path):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="r", dir=parent))

    def __enter__(self) -> pathlib.Path:
        subprocess.run(["sync"], check=True)
        time.sleep(0.2)
        warm_memory()
        return self.path

    def __exit__(self, *ignored) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def tool_round(parent: pathlib.Path, name: str, *arguments: str) -> Run:
    """A tool that measures inside its own process."""
    with Folder(parent) as folder:
        found = run_json([tool(name), *arguments, "--directory", str(folder), "--corpus", str(CORPUS)])
    more = {key: value for key, value in found.items() if key not in Run.__annotations__}
    return Run(found["records"], found["seconds"], found["cpu_seconds"], found["peak_kib"], found["anonymous_kib"],
               found["call_ns"], more)


class _Sender:
    """sender_tool: connects, warms up, waits for go(), sends, reports."""

    def __init__(self, to: str, header: str, messages: int, warm_up: int, batch: int):
        self._process = subprocess.Popen(
            [tool("sender_tool"), "--to", to, "--corpus", str(CORPUS), "--header", header, "--messages", str(messages),
             "--warm-up", str(warm_up), "--batch", str(batch)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def warmed(self) -> dict:
        return self._line()

    def go(self) -> dict:
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return self._line()

    def end(self) -> None:
        """The sender keeps its connection until now."""
        self._process.stdin.close()
        try:
            self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _line(self) -> dict:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"sender: {self._process.stderr.read().strip()}")
        return json.loads(line)


class _Await:
    def __init__(self, server: Server, target: int):
        self._process = subprocess.Popen(
            [tool("await_tool"), *server.wait(), "--target", str(target), "--timeout", "60"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self._process.stdout.readline().strip() != "watching":
            raise RuntimeError(f"await: {self._process.stderr.read().strip()}")

    def result(self) -> dict:
        # By readline, not communicate(): the line may have come along with "watching" and be buffered already. The
        # tool gives up by itself when nothing changes.
        line = self._process.stdout.readline()
        if self._process.wait() != 0:
            raise RuntimeError(self._process.stderr.read().strip())
        return json.loads(line)

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def socket_round(parent: pathlib.Path, server: Server, transport: str, header: str, messages: int, warm_up: int,
                 batch: int = 64) -> Run:
    """From the sender's first system call until the last record is readable, over one warm connection."""
    with Folder(parent) as folder:
        started: list = []
        try:
            server.start(folder, transport)
            before = server.first() if server.first() >= 0 else _Await(server, 0).result()["count"]
            sender = _Sender(f"{transport}:{server.socket_path}", header, messages, warm_up, batch)
            started.append(sender)
            server.connected()
            sizes = sender.warmed()
            warm, everything = ((sizes["warm_up_bytes"], sizes["all_bytes"]) if server.counts_bytes
                                else (before + warm_up, before + warm_up + messages))
            _Await(server, warm).result()
            waiter = _Await(server, everything)
            started.append(waiter)
            warm_memory()  # once more: the host has taken it away again meanwhile
            cpu_before = server.process.cpu_seconds()
            sent = sender.go()
            arrived = waiter.result()
            server.process.check_alive()
            return Run(messages, (arrived["changed_ns"] - sent["start_ns"]) * 1e-9,
                       server.process.cpu_seconds() - cpu_before, server.process.status_kib("VmHWM"),
                       server.process.status_kib("RssAnon"), sent["call_ns"],
                       {"bytes": sent["bytes"], "count": arrived["count"] - before})
        finally:
            for child in started:
                child.end()
            server.stop()

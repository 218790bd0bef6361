"""A process under measurement."""

import os
import pathlib
import signal
import subprocess
import time

_TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """Started in its own folder with everything it says in `stderr`; ended by its id."""

    def __init__(self, command: list[str], folder: pathlib.Path, environment: dict[str, str] | None = None, stdin=None):
        self.folder = folder
        self.name = pathlib.Path(command[0]).name
        with (folder / "stderr").open("ab") as errors:
            self._process = subprocess.Popen(command, cwd=folder, env=environment, stdout=errors, stderr=errors,
                                             stdin=subprocess.DEVNULL if stdin is None else stdin)

    @property
    def pid(self) -> int:
        return self._process.pid

    def check_alive(self) -> None:
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.name} has ended with {self._process.returncode}: {self.said()}")

    def said(self) -> str:
        return (self.folder / "stderr").read_text(errors="replace")[-2000:].strip()

    def wait_for(self, ready, seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not ready():
            self.check_alive()
            if time.monotonic() > end:
                raise RuntimeError(f"{self.name} is not ready after {seconds} s: {self.said()}")
            time.sleep(0.01)

    def cpu_seconds(self) -> float:
        """utime and stime of proc(5), all threads."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def status_kib(self, name: str) -> int:
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
        return 0

    def stop(self, seconds: float = 60.0) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)

"""What a busy machine adds to a time that is measured: threads that could run and had to wait for a processor."""

import contextlib
import os
import pathlib
import time

from support.daemon import Daemon


def kept_waiting(*pids: int) -> float:
    """Seconds that the threads of these processes, those that are there now, have waited so since they began."""
    nanos = 0
    for pid in pids:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):  # it has ended
                nanos += int((task / "schedstat").read_text().split()[1])
    return nanos / 1e9


def seconds_to_start(daemon: Daemon) -> float:
    """Starts it, and says how long that took it. What others have left to be written would be in the disk's way."""
    os.sync()
    began = time.monotonic()
    daemon.start()
    took = time.monotonic() - began
    return took - kept_waiting(daemon.process.pid)

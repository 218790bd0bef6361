"""System calls of the daemon that fail or take long on purpose."""

import contextlib
import pathlib
import signal
import subprocess

import pytest

from support.daemon import eventually
from support.senders import program


def working_strace() -> str:
    tracer = program("strace")
    if subprocess.run([tracer, "-o", "/dev/null", "true"], capture_output=True).returncode != 0:
        pytest.skip("strace may not trace here")
    return tracer


def start_with_faults(daemon, *faults: str, paths=(), trace="/dev/null"):
    """Under strace, which makes chosen system calls fail, all or those on `paths`; skipped where tracing isn't allowed.

    strace counts calls per thread: `when=3` is the third of each, so of the sync thread's too. With -D the daemon is our
    child, and gets our signals.
    """
    tracer = working_strace()
    injected = [option for fault in faults for option in ("-e", f"inject={fault}")]
    calls = ",".join(sorted({fault.split(":")[0] for fault in faults}))
    only = [option for path in paths for option in ("-P", str(path))]
    return daemon.start(prefix=(tracer, "-D", "-f", "-qq", "-o", str(trace), "-e", f"trace={calls}", *injected, *only))


def _is_traced(pid: int, every_thread: bool) -> bool:
    """The threads are taken one after the other, the main thread first."""
    statuses = pathlib.Path(f"/proc/{pid}").glob("task/*/status" if every_thread else "status")
    return all("TracerPid:\t0\n" not in status.read_text() for status in statuses)


@contextlib.contextmanager
def slowed(daemon, call: str, seconds: float, every_thread: bool = True):
    """This call takes so much longer, in a daemon that runs; in its main thread alone if need be."""
    pid = daemon.process.pid
    tracer = subprocess.Popen([working_strace(), *(["-f"] if every_thread else []), "-qq", "-o", "/dev/null", "-e", f"trace={call}",
                               "-e", f"inject={call}:delay_enter={seconds * 1e6:.0f}", "-p", str(pid)])
    try:
        eventually(lambda: _is_traced(pid, every_thread))
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(20)

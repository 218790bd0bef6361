"""System calls of the daemon that fail on purpose."""

import subprocess

import pytest

from support.senders import program


def start_with_faults(daemon, *faults: str, paths=(), trace="/dev/null"):
    """Under strace, which makes chosen system calls fail, all or those on `paths`; skipped where tracing isn't allowed.

    strace counts calls per thread: `when=3` is the third of each, so of the sync thread's too. With -D the daemon is our
    child, and gets our signals.
    """
    tracer = program("strace")
    if subprocess.run([tracer, "-o", "/dev/null", "true"], capture_output=True).returncode != 0:
        pytest.skip("strace may not trace here")
    injected = [option for fault in faults for option in ("-e", f"inject={fault}")]
    calls = ",".join(sorted({fault.split(":")[0] for fault in faults}))
    only = [option for path in paths for option in ("-P", str(path))]
    return daemon.start(prefix=(tracer, "-D", "-f", "-qq", "-o", str(trace), "-e", f"trace={calls}", *injected, *only))

"""A file system on a disk whose flush takes a set time, in memory: volatile_disk, a loop device and ext4."""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

from harness.paths import Unavailable, tool

DISK_MIB = 2048  # of which only what is written takes memory


def require() -> None:
    """Raises Unavailable where such a disk can't be had."""
    if os.geteuid() != 0:
        raise Unavailable("mounting needs root")
    for path in ("/dev/fuse", "/dev/loop-control"):
        if not os.path.exists(path):
            raise Unavailable(f"no {path} here")
    if not shutil.which("mkfs.ext4"):
        raise Unavailable("no mkfs.ext4 here")
    tool("volatile_disk")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Unavailable(f"{command[0]}: {done.stderr.strip()}")


def _await(path: pathlib.Path, server: subprocess.Popen) -> None:
    for _ in range(500):
        if path.exists():
            return
        if server.poll() is not None:
            break
        time.sleep(0.02)
    raise Unavailable("volatile_disk does not serve")


@contextlib.contextmanager
def slow_disk(parent: pathlib.Path, flush_micros: int):
    """Yields the folder where it is mounted; everything is gone afterwards."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="d", dir=parent))
    served, at, control = folder / "fuse", folder / "at", folder / "disk.sock"
    served.mkdir()
    at.mkdir()
    server = subprocess.Popen([tool("volatile_disk"), str(served), str(control), str(DISK_MIB)])
    try:
        _await(served / "disk", server)
        _run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "nodiscard,lazy_itable_init=0", str(served / "disk"))
        _run("mount", "-t", "ext4", "-o", "loop", str(served / "disk"), str(at))
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(control))
            connection.sendall(f"delay-flushes {flush_micros}\n".encode())
            if connection.recv(64) != b"ok\n":
                raise Unavailable("volatile_disk can't delay flushes")
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], check=False, capture_output=True)
        subprocess.run(["umount", "-l", str(served)], check=False, capture_output=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(5)
        server.kill()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)

"""A disk whose write cache is lost with the power, served through FUSE, and the file systems on it."""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import time

import pytest

from support.daemon import BIN, eventually
from support.mounts import mounted

MAKE = {"ext4": ("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"),
        "xfs": ("mkfs.xfs", "-q", "-f", "-K")}
SMALLEST_MIB = {"ext4": 96, "xfs": 320}


def skip_unless_possible(file_system: str) -> None:
    """Skips, and says why, where such a disk cannot be had."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    for path in ("/dev/fuse", "/dev/loop-control"):
        if not os.path.exists(path):
            pytest.skip(f"no {path} here")
    if not (BIN / "volatile_disk").exists():
        pytest.skip("volatile_disk was not built: libfuse3-dev is missing")
    if not shutil.which(MAKE[file_system][0]):
        pytest.skip(f"no {MAKE[file_system][0]} here")
    if shutil.which("modprobe"):
        subprocess.run(["modprobe", "-q", file_system], check=False)
    if file_system not in pathlib.Path("/proc/filesystems").read_text().split():
        pytest.skip(f"the kernel has no {file_system}")


class VolatileDisk:
    """`image` is the disk, a file; commands go to the server's control socket. See tests/crash/volatile_disk/main.cpp."""

    def __init__(self, folder: pathlib.Path, file_system: str):
        skip_unless_possible(file_system)
        self.file_system = file_system
        self.served = folder / "fuse"
        self.served.mkdir()
        self.image = self.served / "disk"
        path = folder / "disk.sock"
        self.server = subprocess.Popen([str(BIN / "volatile_disk"), str(self.served), str(path), str(SMALLEST_MIB[file_system])])
        eventually(self.is_served, 20)
        self.control = socket.socket(socket.AF_UNIX)
        self.control.connect(str(path))
        self.control.settimeout(60)
        subprocess.run([*MAKE[file_system], str(self.image)], check=True, capture_output=True)

    def is_served(self) -> bool:
        assert self.server.poll() is None, "volatile_disk has ended"
        return self.image.exists()

    def command(self, line: str) -> str:
        """Sends one command; returns what follows "ok"."""
        self.control.sendall(line.encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            piece = self.control.recv(4096)
            assert piece, "volatile_disk has ended"
            answer += piece
        text = answer.decode().strip()
        assert text.startswith("ok"), text
        return text.removeprefix("ok").strip()

    @contextlib.contextmanager
    def frozen(self, writes: int = 0):
        """After so many more writes, nothing reaches the disk: neither a write nor a flush."""
        self.command(f"freeze {writes}")
        try:
            yield
        finally:
            self.command("thaw")

    def crash_image(self, path: pathlib.Path, seed: int) -> None:
        self.command(f"image {path} {seed}")

    def stats(self) -> tuple[int, int, int]:
        """Writes, flushes, and writes since the last flush."""
        writes, flushes, unflushed = map(int, self.command("stats").split())
        return writes, flushes, unflushed

    def mounted(self, at: pathlib.Path):
        return mounted(at, "-t", self.file_system, "-o", "loop", str(self.image))

    def close(self) -> None:
        self.control.close()
        subprocess.run(["umount", "-l", str(self.served)], check=False)
        for _ in range(100):
            if self.server.poll() is not None:
                return
            time.sleep(0.05)
        self.server.kill()
        self.server.wait(10)


@contextlib.contextmanager
def volatile_disk(folder: pathlib.Path, file_system: str):
    disk = VolatileDisk(folder, file_system)
    try:
        yield disk
    finally:
        disk.close()


@contextlib.contextmanager
def mounted_image(image: pathlib.Path, file_system: str, at: pathlib.Path):
    """What a machine finds that starts again: the file system replays its journal while it is mounted."""
    options = "loop,nouuid" if file_system == "xfs" else "loop"
    with mounted(at, "-t", file_system, "-o", options, str(image)) as path:
        yield path

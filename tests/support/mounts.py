"""Small file systems for tests: a loop-mounted ext4, a tmpfs; skipped visibly where mounting is not possible."""

import contextlib
import os
import pathlib
import subprocess

import pytest


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"{command[0]} is not possible here: {done.stderr.strip()}")


@contextlib.contextmanager
def mounted(at: pathlib.Path, *mount_arguments: str):
    """Mounts at `at` (created) and unmounts in the end, lazily if something still holds it."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    at.mkdir(parents=True, exist_ok=True)
    _run("mount", *mount_arguments, str(at))
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], check=False)


@contextlib.contextmanager
def small_ext4(at: pathlib.Path, mib: int):
    """A fresh ext4 of `mib` MiB, without blocks reserved for root."""
    image = at.with_name(at.name + ".image")
    with image.open("wb") as file:
        file.truncate(mib << 20)
    _run("mkfs.ext4", "-q", "-m", "0", str(image))
    with mounted(at, "-o", "loop", str(image)) as path:
        yield path
    image.unlink()


@contextlib.contextmanager
def nearly_full_disk(daemon):
    """The log of a Daemon that is not started yet goes to a disk of 24 MiB, whose end senders have to wait at. Yields a
    file of 6 MiB on it: who removes it makes room."""
    with small_ext4(daemon.folder / "disk", 24) as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(6 << 20))
        daemon.log_directory = disk / "main"
        daemon.stream.update(directory=str(daemon.log_directory), when_full="block",
                             retention={"bytes_max": "1GiB", "keep_free": "0"})
        yield ballast

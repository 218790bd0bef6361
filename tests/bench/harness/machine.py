"""What is measured on: printed with every result, because no number means anything without it."""

import mmap
import os
import pathlib
import platform
import subprocess
import time

from harness.paths import BIN, ROOT


def _first(path: str, default: str = "unknown") -> str:
    try:
        return pathlib.Path(path).read_text().strip()
    except OSError:
        return default


def _cpu_model() -> str:
    for line in _first("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _meminfo_gib(name: str) -> float:
    for line in _first("/proc/meminfo").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / (1 << 20)
    return 0.0


def _file_system(folder: pathlib.Path) -> str:
    done = subprocess.run(["df", "--output=fstype,source,avail", "-BG", str(folder)], capture_output=True, text=True)
    return " ".join(done.stdout.splitlines()[-1].split()) + " free" if done.returncode == 0 else "unknown"


def _compiler() -> str:
    cache = _first(str(BIN.parent / "CMakeCache.txt"), "")
    found = dict(line.split("=", 1) for line in cache.splitlines() if "=" in line and not line.startswith(("#", "//")))
    compiler = next((value for key, value in found.items() if key.startswith("CMAKE_CXX_COMPILER:")), "")
    version = ""
    if compiler:
        version = subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout.split("\n")[0]
    build = next((value for key, value in found.items() if key.startswith("CMAKE_BUILD_TYPE:")), "")
    return f"{version or 'unknown'}, {build or 'unknown'} build"


def _commit() -> str:
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


_POPULATE_WRITE = 23  # MADV_POPULATE_WRITE of Linux 5.14
_WARM_BYTES_MAX = 6 << 30


def warm_memory() -> float:
    """Touches free memory and gives it back, so that a virtual machine's host has it in place: what a contender meets
    is then a machine that has been up for a while, not the host's allocator. Returns the GiB/s of touching it."""
    size = min(_WARM_BYTES_MAX, int(_meminfo_gib("MemAvailable") * (1 << 30)) // 2) & ~(mmap.PAGESIZE - 1)
    started = time.monotonic()
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_HUGEPAGE)
        memory.madvise(_POPULATE_WRITE)
    return size / (1 << 30) / (time.monotonic() - started)


def describe(folder: pathlib.Path) -> dict[str, str]:
    return {
        "CPU": f"{_cpu_model()}, {os.cpu_count()} cores",
        "memory": f"{_meminfo_gib('MemTotal'):.0f} GiB",
        "kernel": platform.release(),
        "file system": _file_system(folder),
        "huge pages": _first("/sys/kernel/mm/transparent_hugepage/enabled"),
        "Unix datagram queue": f"net.unix.max_dgram_qlen {_first('/proc/sys/net/unix/max_dgram_qlen')}",
        "compiler": _compiler(),
        "commit": _commit(),
        "load before": "%.2f %.2f %.2f" % os.getloadavg(),
    }


def is_busy() -> bool:
    """Somebody else is using the machine: what is measured now says little."""
    return os.getloadavg()[0] > 0.5

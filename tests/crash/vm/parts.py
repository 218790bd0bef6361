"""What the small machine boots: Debian's cloud kernel, and an initramfs of busybox, the programs under test and modules.

`./dev test` with FASTLOGD_VM_ROUNDS or FASTLOGD_HEAVY=1 unpacks the packages under build/vm; nothing is installed there.
"""

import pathlib
import re
import shutil
import subprocess

import pytest
from support.daemon import BIN
from support.source_tree import ROOT

UNPACKED = ROOT / "build" / "vm" / "root"
MODULES = {"base": ("virtio_pci", "virtio_blk", "virtio_console", "nfit", "nd_pmem"),
           "ext4": ("ext4", "crc32c_generic"), "xfs": ("xfs",)}
TRAILER = "TRAILER!!!"


def kernel() -> pathlib.Path:
    """The unpacked kernel; the test is skipped where `./dev test` has not fetched it."""
    found = sorted(UNPACKED.glob("boot/vmlinuz-*"))
    if not found or not shutil.which("qemu-system-x86_64"):
        pytest.skip("no small machine: qemu or its kernel is missing (FASTLOGD_VM_ROUNDS=2 ./dev test -R vm_test fetches them)")
    return found[-1]


def _modules(version: str) -> dict[str, list[pathlib.Path]]:
    """For each set of MODULES those files and what they need, in the order they have to be loaded."""
    folder = UNPACKED / "lib" / "modules" / version
    listing = folder / "modules.dep"  # made when a kernel is installed, not part of its package
    if not listing.exists() or not listing.stat().st_size:
        subprocess.run(["/sbin/depmod", "-b", str(UNPACKED), version], check=True)
    needs = dict(line.split(":", 1) for line in listing.read_text().splitlines())
    paths = {pathlib.Path(path).stem.replace("-", "_"): path for path in needs}
    builtin = {pathlib.Path(path).stem.replace("-", "_") for path in (folder / "modules.builtin").read_text().split()}
    sets: dict[str, list[pathlib.Path]] = {}
    for name, wanted in MODULES.items():
        missing = set(wanted) - builtin - set(paths)
        assert not missing, f"kernel {version} has no {missing}"
        ordered = (path for module in wanted if module in paths
                   for path in [*reversed(needs[paths[module]].split()), paths[module]])
        sets[name] = [folder / path for path in dict.fromkeys(ordered)]
    return sets


def _with_libraries(program: pathlib.Path) -> set[pathlib.Path]:
    """The program and every shared library ldd finds for it."""
    out = subprocess.run(["ldd", str(program)], check=True, capture_output=True, text=True).stdout
    return {program} | {pathlib.Path(path) for path in re.findall(r"(/\S+) \(0x", out)}


class Archive:
    """A cpio archive of the "newc" format, which the kernel unpacks; several can follow one another in one file."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._folders: set[str] = set()
        self._files = 0

    def folder(self, name: str) -> None:
        if name and name not in self._folders:
            self.folder(name.rpartition("/")[0])
            self._folders.add(name)
            self._entry(name, 0o040755, b"")

    def file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        self.folder(name.rpartition("/")[0])
        self._entry(name, 0o100000 | mode, content)

    def content(self) -> bytes:
        self._entry(TRAILER, 0, b"")
        return bytes(self._bytes)

    def _entry(self, name: str, mode: int, content: bytes) -> None:
        self._files += 1
        fields = (self._files, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        self._bytes += b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        self._pad()
        self._bytes += content
        self._pad()

    def _pad(self) -> None:
        self._bytes += bytes(-len(self._bytes) % 4)


def initramfs(path: pathlib.Path) -> None:
    """Writes the archive that every boot shares."""
    archive = Archive()
    version = kernel().name.removeprefix("vmlinuz-")
    archive.file("init", (pathlib.Path(__file__).parent / "init").read_bytes(), 0o755)
    archive.file("bin/busybox", (UNPACKED / "bin" / "busybox").read_bytes(), 0o755)
    modules = _modules(version)
    for module in set().union(*modules.values()):
        archive.file(f"modules/{module.name}", module.read_bytes())
    for name, files in modules.items():
        archive.file(f"modules/{name}", "".join(f"{file.name}\n" for file in files).encode())
    programs = [BIN / "fastlogd", BIN / "fastlogctl", *(pathlib.Path("/sbin") / name for name in ("mkfs.ext4", "mkfs.xfs"))]
    libraries: set[pathlib.Path] = set()
    for program in programs:
        archive.file(f"bin/{program.name}", program.read_bytes(), 0o755)
        libraries |= _with_libraries(program) - {program}
    for library in sorted(libraries):
        archive.file(str(library).lstrip("/"), library.read_bytes(), 0o755)
    path.write_bytes(archive.content())

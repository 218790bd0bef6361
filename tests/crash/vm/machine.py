"""A small virtual machine: qemu with a kernel, an initramfs, one disk, and two ports on which it talks.

It runs as one process without privileges, so a power cut is SIGKILL. Emulation in software is enough;
FASTLOGD_VM_ACCEL=kvm is for those who have it. Only one machine runs at a time, nicely.
"""

import dataclasses
import os
import pathlib
import socket
import subprocess
import threading
import time

from vm import parts

ACCELERATOR = os.environ.get("FASTLOGD_VM_ACCEL", "tcg")
MEMORY_MIB = 384
# The kernel's check of its timer fails, and ends it, where a loaded host emulates slowly.
KERNEL_OPTIONS = "console=ttyS0 panic=-1 quiet no_timer_check"
BOOT_SECONDS = 240  # generous: emulated on a machine that does other things


@dataclasses.dataclass(frozen=True)
class Acknowledged:
    """The machine had said `number` when the disk's write log was `log_bytes` long, or shorter."""

    number: int
    log_bytes: int


def nvdimm(image: pathlib.Path) -> list[str]:
    """An NVDIMM whose stores go to the image's pages in this host's cache: they outlive the killed machine."""
    size = image.stat().st_size
    return ["-machine", "pc,nvdimm=on", "-m", f"{MEMORY_MIB}M,slots=2,maxmem={MEMORY_MIB + (size >> 20) + 1024}M",
            "-object", f"memory-backend-file,id=pmem,share=on,pmem=off,mem-path={image},size={size}",
            "-device", "nvdimm,id=nvdimm,memdev=pmem"]


def logged_disk(image: pathlib.Path, log: pathlib.Path) -> list[str]:
    """A disk that writes down every write and flush in the order the machine could see them done."""
    return ["-machine", "pc", "-m", f"{MEMORY_MIB}M",
            "-blockdev", f"driver=raw,node-name=raw,file.driver=file,file.filename={image}",
            "-blockdev", f"driver=raw,node-name=log,file.driver=file,file.filename={log}",
            "-blockdev", "driver=blklogwrites,node-name=disk,file=raw,log=log,log-sector-size=512",
            "-device", "virtio-blk-pci,drive=disk,discard=off,write-zeroes=off,write-cache=on"]


class Machine:
    """One boot. `job` is the shell script that runs inside, `files` more files of its root folder."""

    def __init__(self, folder: pathlib.Path, initramfs: pathlib.Path, disk: list[str], job: str,
                 files: dict[str, bytes], write_log: pathlib.Path | None = None):
        self.console = folder / "console"
        self.acknowledged: list[Acknowledged] = []
        self._write_log = write_log
        self._said: dict[str, bytes] = {}
        self._changed = threading.Condition()
        extra = parts.Archive()
        for name, content in {"job": job.encode(), **files}.items():
            extra.file(name, content)
        boot = folder / "boot.cpio"
        boot.write_bytes(initramfs.read_bytes() + extra.content())
        ports = [self._listen(folder / name) for name in ("acknowledgements", "report")]
        self._process = subprocess.Popen(self._command(folder, boot, disk), stdin=subprocess.DEVNULL)
        self._readers = [threading.Thread(target=read, args=(port,), daemon=True)
                         for port, read in zip(ports, (self._read_acknowledgements, self._read_report), strict=True)]
        for reader in self._readers:
            reader.start()

    def said(self, name: str, timeout: float = BOOT_SECONDS) -> bytes:
        """What `say NAME` reported; waits for it."""
        end = time.monotonic() + timeout
        with self._changed:
            while name not in self._said:
                assert self._process.poll() is None, f"the machine went off before it said {name}:\n{self.console_tail()}"
                assert time.monotonic() < end, f"the machine did not say {name}:\n{self.console_tail()}"
                self._changed.wait(0.2)
            return self._said[name]

    def wait_for_acknowledgements(self, count: int, timeout: float = BOOT_SECONDS) -> None:
        """Until `count` messages with acknowledgements have come."""
        end = time.monotonic() + timeout
        while len(self.acknowledged) < count:
            assert self._process.poll() is None and time.monotonic() < end, f"no acknowledgements:\n{self.console_tail()}"
            time.sleep(0.02)

    def wait(self, seconds: float) -> None:
        """Lets it run; it is an error when it goes off by itself."""
        time.sleep(seconds)
        assert self._process.poll() is None, f"the machine went off:\n{self.console_tail()}"

    def cut_power(self) -> None:
        """Kills it; what it had said by then is all read."""
        self._process.kill()
        self._process.wait(10)
        for reader in self._readers:
            reader.join(10)
            assert not reader.is_alive()

    def off(self, timeout: float = BOOT_SECONDS) -> None:
        """Waits until it has switched itself off."""
        self._process.wait(timeout)
        for reader in self._readers:
            reader.join(10)

    def console_tail(self) -> str:
        return self.console.read_text(errors="replace")[-4000:] if self.console.exists() else ""

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, *_) -> None:
        if self._process.poll() is None:
            self.cut_power()

    def _command(self, folder: pathlib.Path, boot: pathlib.Path, disk: list[str]) -> list[str]:
        return ["nice", "-n", "10", "qemu-system-x86_64", "-accel", ACCELERATOR, "-cpu", "max", "-smp", "1",
                "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", f"file:{self.console}",
                "-kernel", str(parts.kernel()), "-initrd", str(boot), "-append", KERNEL_OPTIONS,
                "-device", "virtio-serial-pci",
                "-chardev", f"socket,id=acks,path={folder / 'acknowledgements'}", "-device", "virtserialport,chardev=acks,nr=1",
                "-chardev", f"socket,id=report,path={folder / 'report'}", "-device", "virtserialport,chardev=report,nr=2", *disk]

    @staticmethod
    def _listen(path: pathlib.Path) -> socket.socket:
        path.unlink(missing_ok=True)
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.listen(1)
        server.settimeout(20)
        return server

    def _read_acknowledgements(self, server: socket.socket) -> None:
        """Lines whose last word is the acknowledged number. The log's length is taken after the line was received."""
        with server, server.accept()[0] as port:
            rest = b""
            while received := port.recv(65536):
                lines = (rest + received).split(b"\n")
                rest = lines.pop()
                if lines:
                    log_bytes = os.stat(self._write_log).st_size if self._write_log else 0
                    self.acknowledged.append(Acknowledged(int(lines[-1].split()[-1]), log_bytes))

    def _read_report(self, server: socket.socket) -> None:
        """Blocks of "NAME BYTES", a newline and the bytes."""
        with server, server.accept()[0] as port, port.makefile("rb") as stream:
            while head := stream.readline():
                name, size = head.split()
                content = stream.read(int(size))
                with self._changed:
                    self._said[name.decode()] = content
                    self._changed.notify_all()

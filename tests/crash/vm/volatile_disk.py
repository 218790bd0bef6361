"""One boot with a disk whose cache is volatile, then many disks that a power cut in the middle could have left."""

import dataclasses
import pathlib
import random
import subprocess
import tempfile

from support.daemon import Daemon
from support.load import numbers
from support.mounts import mounted

from vm.machine import Acknowledged, Machine, logged_disk
from vm.write_log import WriteLog

DISK_MIB = {"ext4": 192, "xfs": 320}  # mkfs.xfs makes nothing smaller than 300 MiB
MOUNT_OPTIONS = {"ext4": "loop", "xfs": "loop,nouuid"}


@dataclasses.dataclass(frozen=True)
class Cut:
    """What a checker found on one disk: records 0..found-1, of which 0..acknowledged-1 had been acknowledged."""

    how: str
    place: int  # entries of the write log before it
    unflushed: int
    acknowledged: int
    found: int

    @property
    def lost(self) -> int:
        return max(0, self.acknowledged - self.found)


def make_disk(folder: pathlib.Path, kind: str) -> pathlib.Path:
    """An empty file system in an image."""
    image = folder / "before"
    with image.open("wb") as file:
        file.truncate(DISK_MIB[kind] << 20)
    subprocess.run([f"mkfs.{kind}", "-q", str(image)], check=True)
    return image


def acknowledged_by(acknowledged: list[Acknowledged], log_bytes: int) -> int:
    """How many records were acknowledged for certain when the log was so long."""
    return max((item.number for item in acknowledged if item.log_bytes <= log_bytes), default=0)


class VolatileDiskTrial:
    """`run` boots and cuts the power; `cut` makes and checks one of the disks that may be left."""

    def __init__(self, folder: pathlib.Path, kind: str, initramfs: pathlib.Path):
        self._folder, self._kind, self._initramfs = folder, kind, initramfs
        self._before = make_disk(folder, kind)
        self.acknowledged: list[Acknowledged] = []

    def run(self, job: str, files: dict[str, bytes], seconds: float) -> None:
        """Until `seconds` after the first acknowledgement."""
        disk, log = self._folder / "disk", self._folder / "write_log"
        subprocess.run(["cp", "--sparse=always", str(self._before), str(disk)], check=True)
        log.write_bytes(b"")
        with Machine(self._folder, self._initramfs, logged_disk(disk, log), job, files, log) as machine:
            machine.wait_for_acknowledgements(1)
            machine.wait(seconds)
            machine.cut_power()
            self.acknowledged = machine.acknowledged
        self._log = WriteLog(log)

    def cut(self, chance: random.Random) -> Cut:
        cut = self._moment(chance)
        image = self._folder / "image"
        how, unflushed = self._log.crash_image(self._before, image, cut, chance)
        found = self._records_on(image)
        return Cut(how, cut, unflushed, acknowledged_by(self.acknowledged, self._log.entries[cut - 1].end), found)

    def _moment(self, chance: random.Random) -> int:
        """How many entries of the log come before the cut: any, up to where an acknowledgement left, or up to a flush."""
        entries = self._log.entries

        def entry_at(log_bytes: int) -> int:
            return next((index for index, entry in enumerate(entries) if entry.end >= log_bytes), len(entries) - 1)

        first = entry_at(self.acknowledged[0].log_bytes) + 1
        return chance.choice((
            chance.randint(first, len(entries)),
            entry_at(chance.choice(self.acknowledged).log_bytes) + 1,
            chance.choice([index for index in range(first, len(entries)) if entries[index].flushes] or [len(entries)])))

    def _records_on(self, image: pathlib.Path) -> int:
        """Mounts the disk here, lets the daemon recover it, and counts; the log has to be sound and without a hole."""
        mount = ("-t", self._kind, "-o", MOUNT_OPTIONS[self._kind], str(image))
        with tempfile.TemporaryDirectory(prefix="fastlogd-") as home, mounted(self._folder / "mounted", *mount) as disk:
            daemon = Daemon(pathlib.Path(home))
            daemon.stream["directory"] = str(disk / "main")
            daemon.start()
            try:
                found = numbers(b"\n".join(daemon.cat()), "r0")
                daemon.verify()
            finally:
                daemon.stop()
        assert found == list(range(len(found))), "not a prefix of what was sent"
        return len(found)

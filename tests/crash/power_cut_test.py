"""Power is cut while records are acknowledged: the real daemon on a real file system on a disk that forgets.

The disk (tests/crash/volatile_disk) holds still, what has been acknowledged by then is counted, and an image of what a
power loss would leave is written; then everything goes on. The image is mounted, which replays its journal, a second
daemon starts on it, and every acknowledged record must be there. The count is taken while the disk holds still: taken a
moment earlier it would forgive a sender that acknowledges before the sync.

FASTLOGD_POWER_CUTS sets how many (6 unless said otherwise; 150 for acceptance); FASTLOGD_POWER_CUT_SEED repeats what was
lost in each.
"""

import contextlib
import fcntl
import itertools
import os
import pathlib
import random
import shutil
import struct
import subprocess
import time

import pytest

from support.acknowledged import NativeSenders, SyncedLines, what_is_missing
from support.daemon import Daemon
from support.volatile_disk import MAKE, VolatileDisk, mounted_image, skip_unless_possible, volatile_disk

CUTS = int(os.environ.get("FASTLOGD_POWER_CUTS", "6"))
SEED = int(os.environ.get("FASTLOGD_POWER_CUT_SEED", str(random.randrange(1 << 32))))
SENDERS = 4
SETTLE_SECONDS = 0.03  # what the daemon had sent before the disk held still reaches its senders
FS_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32), of ext4 and xfs
NO_LOG_FLUSH = 2
WRITES = itertools.cycle(("mapping", "pwrite"))  # in turns


def daemon_on(folder: pathlib.Path, log_directory: pathlib.Path, write: str = "mapping") -> Daemon:
    folder.mkdir(exist_ok=True)
    daemon = Daemon(folder)
    daemon.log_directory = log_directory
    daemon.stream.update(directory=str(log_directory), segment_bytes="1MiB",
                         durability={"mode": "group"}, write=write, retention={"bytes_max": "24MiB", "keep_free": 0},
                         when_full="block")  # a full disk is not to be a reason for a missing record
    return daemon


def judge(folder: pathlib.Path, log_directory: pathlib.Path, names: list[str], acknowledged: list[int]) -> str:
    """Starts a daemon on what was left; "" if everything acknowledged is there and the log is sound."""
    daemon = daemon_on(folder, log_directory)
    daemon.stream["retention"]["bytes_max"] = 0  # nothing is removed while it is looked at
    removed = not (log_directory / f"{1:020}.flog").exists()
    daemon.start()
    try:
        shown = daemon.ctl("cat", "-o", "cat", check=False)
        wrong = what_is_missing(shown.stdout, names, acknowledged, removed)
        if not wrong and shown.returncode not in (0, 1):  # a disk that lies may damage what was acknowledged
            wrong = f"cat says {shown.returncode}: {shown.stderr.decode()}"
        done = daemon.ctl("verify", check=False)
        if not wrong and done.returncode != 0:
            wrong = f"verify says {done.returncode}: {done.stdout.decode()}{done.stderr.decode()}"
        if wrong:
            print(daemon.stderr())
    finally:
        daemon.stop()
    return wrong


class Cuts:
    """A daemon and its senders on a VolatileDisk, and power cuts among them."""

    def __init__(self, folder: pathlib.Path, disk: VolatileDisk, senders):
        self.folder, self.disk = folder, disk
        self.chance = random.Random(SEED)
        self.daemon = daemon_on(folder / "live", folder / "disk" / "main", next(WRITES))
        self.make_senders = senders

    @contextlib.contextmanager
    def running(self):
        with self.disk.mounted(self.folder / "disk"):
            self.daemon.start()
            self.senders = self.make_senders(self.daemon).start()
            try:
                yield self
            finally:
                self.senders.stop()
                self.daemon.stop()

    def cut(self, number: int) -> str:
        """Loses power once, after a while; "" if everything acknowledged by then survives."""
        time.sleep(self.chance.uniform(0.05, 0.5))
        assert self.senders.failure is None, self.senders.failure
        image = pathlib.Path("/dev/shm") / f"{self.folder.name}-{number}.image"
        try:
            with self.disk.frozen(self.chance.randrange(12)):
                time.sleep(SETTLE_SECONDS)
                acknowledged = self.senders.counts()
                unflushed = self.disk.stats()[2]
                self.disk.crash_image(image, self.chance.randrange(1 << 32))
            with mounted_image(image, self.disk.file_system, self.folder / f"cut-{number}") as at:
                wrong = judge(self.folder / f"after-{number}", at / "main", self.senders.names, acknowledged)
        finally:
            image.unlink(missing_ok=True)
        print(f"cut {number}: {sum(acknowledged)} acknowledged, {unflushed} writes at stake: {wrong or 'all there'}")
        return wrong


def synced(daemon: Daemon) -> NativeSenders:
    """Every record acknowledged by itself, by the group commit."""
    return NativeSenders(daemon, SENDERS, SEED)


def synced_by_hand(daemon: Daemon) -> SyncedLines:
    """Plain lines, acknowledged by POST /sync."""
    return SyncedLines(daemon, SENDERS, SEED)


def stored_taken_for_synced(daemon: Daemon) -> NativeSenders:
    return NativeSenders(daemon, SENDERS, SEED, taken_for_synced="stored")


@pytest.mark.parametrize(("file_system", "senders"), [("ext4", synced), ("xfs", synced), ("ext4", synced_by_hand)])
def test_P02_nothing_acknowledged_is_lost(folder, file_system, senders):
    print(f"FASTLOGD_POWER_CUT_SEED={SEED} FASTLOGD_POWER_CUTS={CUTS}")
    with volatile_disk(folder, file_system) as disk, Cuts(folder, disk, senders).running() as cuts:
        for number in range((CUTS + 2) // 3):
            assert cuts.cut(number) == ""
        assert sum(cuts.senders.counts()) > 0


def is_caught(cuts: Cuts) -> bool:
    return any(cuts.cut(number) for number in range(20))


def test_P02_acknowledging_before_the_sync_is_caught(folder):
    with volatile_disk(folder, "ext4") as disk, Cuts(folder, disk, stored_taken_for_synced).running() as cuts:
        assert is_caught(cuts)


def test_P02_a_disk_that_lies_about_flushes_is_caught(folder):
    with volatile_disk(folder, "ext4") as disk, Cuts(folder, disk, synced).running() as cuts:
        disk.command("lie on")
        assert is_caught(cuts)


def shut_down_under_load(folder: pathlib.Path, image: pathlib.Path, number: int, chance: random.Random, senders,
                         mode: str = "group") -> str:
    """Stops an ext4 on a loop device at once, without its log; "" if everything acknowledged is there afterwards."""
    at = folder / "disk"
    with mounted_image(image, "ext4", at):
        daemon = daemon_on(folder / f"live-{number}", at / f"main-{number}", next(WRITES))
        daemon.stream["durability"] = {"mode": mode}
        daemon.start()
        lines = senders(daemon).start()
        time.sleep(chance.uniform(0.05, 0.3))
        directory = os.open(at, os.O_RDONLY)
        # Before, not behind: an fdatasync at work while ext4 is shut down may return 0 though it has converted no extent,
        # which no power loss can bring about. What acknowledges without a sync loses enough to be noticed all the same.
        acknowledged = lines.counts()
        fcntl.ioctl(directory, FS_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        os.close(directory)
        daemon.kill()
        lines.stop()
    with mounted_image(image, "ext4", at):
        wrong = judge(folder / f"after-{number}", at / f"main-{number}", lines.names, acknowledged)
        shutil.rmtree(at / f"main-{number}")  # the next ones need the room
    print(f"shutdown {number}: {sum(acknowledged)} acknowledged: {wrong or 'all there'}")
    return wrong


@pytest.fixture
def ext4_image(folder):
    skip_unless_possible("ext4")
    image = pathlib.Path("/dev/shm") / f"{folder.name}.image"
    with image.open("wb") as file:
        file.truncate(512 << 20)
    subprocess.run([*MAKE["ext4"], str(image)], check=True, capture_output=True)
    yield image
    image.unlink()


def test_P02_nothing_acknowledged_is_lost_when_the_file_system_is_shut_down(folder, ext4_image):
    print(f"FASTLOGD_POWER_CUT_SEED={SEED} FASTLOGD_POWER_CUTS={CUTS}")
    chance = random.Random(SEED)
    for number in range((CUTS + 1) // 2):
        assert shut_down_under_load(folder, ext4_image, number, chance, synced) == ""


def test_P02_acknowledging_before_the_sync_is_caught_by_a_shutdown(folder, ext4_image):
    chance = random.Random(SEED)
    # With the group commit at work too little would be at stake to lose some of it every time.
    assert any(shut_down_under_load(folder, ext4_image, number, chance, stored_taken_for_synced, "interval")
               for number in range(10))

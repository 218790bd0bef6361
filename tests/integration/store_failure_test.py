"""A file system that refuses a store: the segment is final, the daemon and its readers live, and it is said everywhere."""

import ctypes
import errno
import fcntl
import json
import os
import pathlib
import subprocess

import pytest
from support.daemon import Daemon, eventually
from support.load import Load
from support.mounts import mounted, small_ext4

PAGE = 4096
FS_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32), linux/fs.h of newer kernels; ext4 has it as EXT4_IOC_SHUTDOWN
NO_LOG_FLUSH = 2


def status(daemon: Daemon) -> dict:
    return json.loads(daemon.ctl("status", "--json").stdout)["streams"][0]


def active_segment(daemon: Daemon) -> pathlib.Path:
    segment = status(daemon)["committed"].split(":")[0]
    return daemon.log_directory / f"{int(segment):020}.flog"


def cut_behind_committed(daemon: Daemon) -> pathlib.Path:
    """What somebody's `truncate` does to the active segment; what is committed stays."""
    path = active_segment(daemon)
    committed = int(status(daemon)["committed"].split(":")[1])
    os.truncate(path, (committed + PAGE - 1) // PAGE * PAGE)
    return path


@pytest.mark.parametrize("mode", ["none", "interval", "group"])
def test_a_segment_that_is_cut_short_costs_no_record_and_no_daemon(idle_daemon, mode):
    idle_daemon.stream.update(durability={"mode": mode}, write="mapping")  # pwrite makes the file longer again
    idle_daemon.with_text()
    daemon = idle_daemon.start()
    Load(daemon.connect, count=2000).run()
    daemon.quiesce(2000)
    pid = daemon.process.pid
    path = cut_behind_committed(daemon)
    Load(daemon.connect, name="b", count=20_000).run()
    now = daemon.quiesce(22_000)
    assert (now.stored, now.dropped) == (22_000, 0)
    eventually(lambda: daemon.metrics().sum("fastlogd_fail_overs_total") == 1)
    assert "SIGBUS" in daemon.stderr() and path.name.lstrip("0").removesuffix(".flog") in daemon.stderr()
    assert daemon.process.poll() is None and daemon.process.pid == pid
    assert daemon.metrics().sum("fastlogd_store_failed") == 0, "the log is durable again"
    os.truncate(path, 4 << 20)  # the records before the cut can be read by everybody again
    assert len(daemon.cat()) == 22_000
    eventually(lambda: daemon.text_path.read_bytes().count(b"load-") == 22_000)
    assert daemon.stop() == 0
    daemon.start()
    assert len(daemon.cat()) == 22_000


def test_a_sigbus_that_is_not_a_stores_kills_the_daemon_as_ever(daemon):
    daemon.process.send_signal(7)
    assert daemon.process.wait(10) == -7


def test_a_reader_installs_no_handler(daemon):
    """fastlogctl maps segments too; a fault there is the reader's own and must not be hidden."""
    follower = subprocess.Popen(daemon.ctl_command("tail", "-f"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        caught = eventually(lambda: [line for line in pathlib.Path(f"/proc/{follower.pid}/status").read_text().splitlines()
                                     if line.startswith("SigCgt:")])[0]
        assert int(caught.split()[1], 16) & 1 << (7 - 1) == 0
        ours = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
        assert int(ours.split("SigCgt:")[1].split()[0], 16) & 1 << (7 - 1), "the daemon has one"
    finally:
        follower.kill()
        follower.wait()


@pytest.mark.parametrize("write", ["mapping", "pwrite"])
def test_a_file_system_that_shuts_down_is_reported_and_senders_wait(idle_daemon, write):
    """FS_IOC_SHUTDOWN: every store into a mapping is SIGBUS from then on, every write and sync EIO."""
    with small_ext4(idle_daemon.folder / "disk", 64) as path:
        idle_daemon.stream.update(directory=str(path / "main"), write=write, when_full="block",
                                  retention={"bytes_max": "1GiB", "keep_free": "0"})
        idle_daemon.log_directory = path / "main"
        daemon = idle_daemon.start()
        assert status(daemon)["write"] == write
        Load(daemon.connect, count=2000).run()
        daemon.quiesce(2000)
        fd = os.open(path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, FS_IOC_SHUTDOWN, ctypes.c_uint32(NO_LOG_FLUSH))
        except OSError as error:
            pytest.skip(f"no FS_IOC_SHUTDOWN here: {error}")
        finally:
            os.close(fd)
        load = Load(daemon.connect, name="b", count=50_000, rate=1e9)
        load.start()
        eventually(lambda: daemon.metrics().sum("fastlogd_store_failed") == 1, 30)
        assert daemon.get("/healthz")[0] == 503
        assert daemon.process.poll() is None
        daemon.metrics().check_equation()
        load.stop()
        assert daemon.stop() == 0 or daemon.process.returncode == 1


def fill(path: pathlib.Path) -> None:
    """Until not one page more fits."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        while os.write(fd, b"\0" * PAGE):
            pass
    except OSError as error:
        assert error.errno == errno.ENOSPC
    finally:
        os.close(fd)


def test_a_hole_that_a_full_tmpfs_cannot_fill(idle_daemon):
    """The daemon's own reserve keeps this from happening; somebody who punches a hole into the active segment can't be
    kept from it."""
    with mounted(idle_daemon.folder / "disk", "-t", "tmpfs", "-o", "size=24m", "tmpfs") as path:
        idle_daemon.stream.update(directory=str(path / "main"), when_full="block",
                                  retention={"bytes_max": "1GiB", "keep_free": "0"})
        idle_daemon.log_directory = path / "main"
        daemon = idle_daemon.start()
        Load(daemon.connect, count=2000).run()
        daemon.quiesce(2000)
        segment = active_segment(daemon)
        committed = int(status(daemon)["committed"].split(":")[1])
        start = (committed + PAGE - 1) // PAGE * PAGE
        subprocess.run(["fallocate", "--punch-hole", "--offset", str(start), "--length", str((4 << 20) - start),
                        str(segment)], check=True)
        ballast = path / "ballast"
        fill(ballast)
        Load(daemon.connect, name="b", count=20_000).run()
        eventually(lambda: "SIGBUS" in daemon.stderr(), 20)
        ballast.unlink()
        now = daemon.quiesce(22_000, 60)
        assert now.stored + now.dropped == 22_000 and daemon.process.poll() is None
        assert len(daemon.cat()) == now.stored
        assert daemon.stop() == 0

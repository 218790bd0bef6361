"""A full disk: the log stays readable, what is lost is counted, and the daemon goes on when there is room again."""

import contextlib
import json
import os
import pathlib
import re
import time

import pytest
from support import fastlog
from support.daemon import MIB, Daemon, eventually
from support.load import Load, check_exactly_once, numbers
from support.mounts import small_ext4
from support.native_client import NativeClient


def on_small_disk(daemon: Daemon, path, when_full: str) -> Daemon:
    daemon.stream.update(directory=str(path / "main"), segment_bytes="4MiB", when_full=when_full,
                         retention={"bytes_max": "1GiB", "keep_free": "0"})
    daemon.log_directory = path / "main"
    return daemon.start()


def fill(path: pathlib.Path, leave: int = 0) -> None:
    """Until not one page more fits, then gives `leave` bytes back. What was set apart for metadata comes free at a sync."""
    with path.open("wb", buffering=0) as file:
        before = -1
        while before != file.tell():
            before = file.tell()
            for piece in (65536, 512):
                with contextlib.suppress(OSError):
                    while file.write(b"\0" * piece):
                        pass
            os.fsync(file.fileno())
        file.truncate(file.tell() - leave)
        os.fsync(file.fileno())


def killed_without_spares(daemon: Daemon) -> tuple[pathlib.Path, int]:
    """As on a full disk, with no segment prepared and unused. Returns the newest segment and the end of its records."""
    position = json.loads(daemon.ctl("status", "--json").stdout)["streams"][0]["committed"]
    segment, offset = map(int, position.split(":"))
    daemon.kill()
    for path in daemon.log_directory.glob("*.flog*"):
        if int(path.name[:20]) > segment:
            path.unlink()
    return daemon.log_directory / f"{segment:020}.flog", offset


def check_full(daemon: Daemon) -> None:
    """Said by the metric, by /healthz and by the status, and the log still lives."""
    eventually(lambda: daemon.metrics().sum("fastlogd_disk_full") == 1, 20)
    status, page = daemon.get("/healthz")
    reason = "stream main: no further segment can be prepared: No space left on device"
    assert (status, page.split("\n")[:2]) == (200, ["degraded", reason])
    eventually(lambda: json.loads(daemon.ctl("status", "--json").stdout)["health"] == "degraded", 20)  # it tries anew all the time
    assert daemon.process.poll() is None


def check_room(daemon: Daemon) -> None:
    eventually(lambda: daemon.metrics().sum("fastlogd_disk_full") == 0, 20)
    assert daemon.get("/healthz")[1].startswith("ok\n")


def lost_by(daemon: Daemon, reason: str) -> int:
    """Records that the log's gaps of that reason name."""
    gaps = json.loads(daemon.ctl("gaps", "--json", check=False).stdout)
    return sum(gap["records"] for gap in gaps if gap["reason"] == reason)


def test_drop_newest_counts_every_record_it_drops(idle_daemon):
    with small_ext4(idle_daemon.folder / "disk", 48) as path:
        daemon = on_small_disk(idle_daemon, path, "drop-newest")
        Load(daemon.connect, rate=1e9, count=900_000).run()
        now = daemon.quiesce(900_000, 60)
        assert now.dropped > 0 and now.stored > 200_000 and now.stored + now.dropped == 900_000
        found = numbers(b"\n".join(daemon.cat()))
        assert found == sorted(set(found)) and len(found) == now.stored
        check_full(daemon)
        daemon.verify()
        assert daemon.stop() == 0
        assert lost_by(daemon, "segment_full") == now.dropped


def test_what_is_dropped_stays_told_of_though_something_else_was_lost_first(idle_daemon):
    """A full disk gives one segment for every loss there is: the first one to be told of must not take all its room."""
    with small_ext4(idle_daemon.folder / "disk", 48) as path:
        daemon = on_small_disk(idle_daemon, path, "drop-newest")
        client = NativeClient(daemon.connect())
        Load(daemon.connect, rate=1e9, count=900_000).run()
        client.send([b"x" * (1 << 17)])  # over record_bytes_max
        client.wait_stored(1)
        now = daemon.quiesce(900_001, 60)
        eventually(lambda: lost_by(daemon, "segment_full") >= (now.dropped - 1) / 2, 20)  # while the disk is full, for whoever kills it
        assert daemon.stop() == 0
        assert (lost_by(daemon, "segment_full"), lost_by(daemon, "sender_error")) == (now.dropped - 1, 1)


def test_a_program_without_shared_memory_hears_what_is_dropped_and_stays_connected(idle_daemon):
    with small_ext4(idle_daemon.folder / "disk", 48) as path:
        daemon = on_small_disk(idle_daemon, path, "drop-newest")
        with fastlog.opened(daemon, flags=fastlog.SOCKET_ONLY, wait_ms_max=10_000) as log:
            while daemon.metrics().dropped == 0:
                assert all(log.write(b"x" * 60_000) == fastlog.OK for _ in range(50))
            for _ in range(2000):
                assert log.write(b"x") == fastlog.OK
                time.sleep(0.001)  # apart: each is refused in a message of its own
            assert log.flush() == fastlog.REFUSED
            assert log.counts().dropped == 0, "by the program"
        assert daemon.metrics().sum("fastlogd_closed_connections_total", reason="abusive") == 0


def test_a_kill_on_a_full_disk_leaves_most_of_the_loss_told_of(idle_daemon):
    with small_ext4(idle_daemon.folder / "disk", 48) as path:
        daemon = on_small_disk(idle_daemon, path, "drop-newest")
        Load(daemon.connect, rate=1e9, count=900_000).run()
        now = daemon.quiesce(900_000, 60)
        eventually(lambda: lost_by(daemon, "segment_full") > now.dropped / 2, 20)
        daemon.kill()
        assert lost_by(daemon, "segment_full") > now.dropped / 2


def test_a_disk_that_fills_again_is_told_of_anew(idle_daemon):
    """Much was lost the first time: that is no reason to keep quiet about less."""
    with small_ext4(idle_daemon.folder / "disk", 64) as path:
        ballast = path / "ballast"
        ballast.write_bytes(b"\0" * (24 * MIB))
        daemon = on_small_disk(idle_daemon, path, "drop-newest")
        Load(daemon.connect, rate=1e9, count=1_500_000).run()
        first = daemon.quiesce(1_500_000, 60).dropped
        ballast.unlink()
        check_room(daemon)
        Load(daemon.connect, name="c", rate=1e9, count=500_000).run()
        second = daemon.quiesce(2_000_000, 60).dropped - first
        assert 0 < second < first / 2
        eventually(lambda: lost_by(daemon, "segment_full") - first > second / 2, 20)


def test_nobody_waits_for_the_first_segment_where_the_newest_is_to_be_dropped(idle_daemon):
    with small_ext4(idle_daemon.folder / "disk", 48) as path:
        (path / "main").mkdir()
        ballast = path / "ballast"
        fill(ballast, 4096)  # for LOCK
        daemon = on_small_disk(idle_daemon, path, "drop-newest")
        Load(daemon.connect, rate=1e9, count=50_000, size=500).run()
        now = daemon.quiesce(50_000, 30)
        assert (now.stored, now.dropped) == (0, 50_000)
        ballast.unlink()
        check_room(daemon)
        Load(daemon.connect, name="c", rate=1e9, count=100).run()
        assert daemon.quiesce(50_100, 30).stored == 100
        assert lost_by(daemon, "segment_full") == 50_000
        assert daemon.stop() == 0


def test_a_stop_tells_of_all_that_senders_could_not_store(idle_daemon):
    with small_ext4(idle_daemon.folder / "disk", 48) as path:
        daemon = on_small_disk(idle_daemon, path, "block")
        load = Load(daemon.connect, rate=1e9, count=2_000_000)
        load.start()
        load.join(5)
        assert load.is_alive(), "the sender was to be held back"
        check_full(daemon)
        assert daemon.stop() == 0
        received, dropped = re.findall(r"received (\d+).* dropped (\d+)", daemon.stderr())[-1]
        assert int(dropped) > 1 and lost_by(daemon, "shutdown") == int(dropped), (received, dropped)


def test_an_idle_start_on_a_full_disk_deletes_no_more_than_it_needs(idle_daemon):
    with small_ext4(idle_daemon.folder / "disk", 48) as path:
        daemon = on_small_disk(idle_daemon, path, "delete-oldest")
        Load(daemon.connect, rate=1e9, count=130_000).run()
        daemon.quiesce(130_000, 30)
        assert daemon.stop() == 0
        fill(path / "ballast")
        before = len(list(daemon.log_directory.glob("*.flog")))
        assert before > 3
        daemon.start()
        eventually(lambda: "no new segment" in daemon.stderr(), 20)
        now = json.loads(daemon.ctl("segments", "--json").stdout)
        assert sum(segment["state"] == "sealed" for segment in now) >= before - 2
        assert re.search(r"those before [2-4] were deleted", daemon.stderr())
        assert daemon.stop() == 0


def test_delete_oldest_keeps_the_newest(idle_daemon):
    with small_ext4(idle_daemon.folder / "disk", 48) as path:
        daemon = on_small_disk(idle_daemon, path, "delete-oldest")
        Load(daemon.connect, rate=200_000, count=900_000).run()
        now = daemon.quiesce(900_000, 60)
        assert (now.stored, now.dropped) == (900_000, 0)
        daemon.verify()
        assert daemon.stop() == 0  # a reader may be overtaken while the next segments are made room for
        found = numbers(b"\n".join(daemon.cat()))
        assert found == list(range(found[0], 900_000)) and found[0] > 0


def test_block_waits_and_loses_nothing_when_room_comes(idle_daemon):
    with small_ext4(idle_daemon.folder / "disk", 48) as path:
        ballast = path / "ballast"
        ballast.write_bytes(b"\0" * (24 * MIB))
        daemon = on_small_disk(idle_daemon, path, "block")
        load = Load(daemon.connect, rate=1e9, count=160_000, size=120)
        load.start()
        load.join(5)
        assert load.is_alive(), "the sender was to be held back"
        check_full(daemon)
        before = daemon.metrics()
        assert before.dropped == 0 and before.received < 160_000
        ballast.unlink()
        load.finish(60)
        now = daemon.quiesce(160_000, 60)
        assert (now.stored, now.dropped) == (160_000, 0)
        assert numbers(b"\n".join(daemon.cat())) == list(range(160_000))
        check_room(daemon)
        assert daemon.stop() == 0


def test_a_full_disk_at_the_start_is_said_and_waited_for(idle_daemon):
    with small_ext4(idle_daemon.folder / "disk", 48) as path:  # room for every segment that is kept ready
        ballast = path / "ballast"
        (path / "main").mkdir()
        fill(ballast, 4096)  # for LOCK
        daemon = on_small_disk(idle_daemon, path, "block")
        check_full(daemon)
        assert "No space left" in daemon.stderr()
        load = Load(daemon.connect, rate=1e9, count=5000)
        load.start()
        ballast.unlink()
        load.finish(30)
        assert daemon.quiesce(5000, 30).stored == 5000
        check_exactly_once(b"\n".join(daemon.cat()), 5000)
        check_room(daemon)
        assert daemon.stop() == 0


def on_tiny_segments(daemon: Daemon, path: pathlib.Path) -> Daemon:
    """16 MiB of disk, segments of 1 MiB; the text file lies elsewhere, its cursor beside the segments."""
    daemon.stream.update(directory=str(path / "main"), segment_bytes="1MiB", when_full="block",
                         retention={"bytes_max": "1GiB", "keep_free": "0"})
    daemon.log_directory = path / "main"
    return daemon.with_text()


def goes_on(daemon: Daemon, before: int, ballast: pathlib.Path) -> None:
    """What was stored is there; what comes while there is no room waits and is stored once there is, also as text."""
    assert len(daemon.cat()) == before
    load = Load(daemon.connect, name="c", rate=1e9, count=2000)
    load.start()
    ballast.unlink()
    load.finish(30)
    assert daemon.quiesce(2000, 30).dropped == 0
    stored = b"\n".join(daemon.cat())
    check_exactly_once(stored, before)
    check_exactly_once(stored, 2000, "c")
    check_room(daemon)
    eventually(lambda: daemon.text_path.read_bytes().count(b"\n") == before + 2000, 30)
    check_exactly_once(daemon.text_path.read_bytes(), before)
    check_exactly_once(daemon.text_path.read_bytes(), 2000, "c")
    daemon.verify()
    assert daemon.stop() == 0


# A start with ever more room: LOCK's text, the cursor, a segment's header, part of a segment, one segment. Of a new log's
# at least the text of LOCK has to fit.
@pytest.mark.parametrize(("killed", "room"), [(killed, room) for killed in (False, True) for room in
                                              (0, 1024, 4096, 8192, MIB // 2, MIB + 65536) if killed or room > 0])
def test_wherever_the_disk_is_full_at_a_start_the_daemon_lives_and_loses_nothing(idle_daemon, killed, room):
    with small_ext4(idle_daemon.folder / "disk", 16) as path:
        daemon, before = on_tiny_segments(idle_daemon, path), 0
        if not killed:
            daemon.log_directory.mkdir()  # by the package; without it there is no log to start
        else:
            before = 4000
            Load(daemon.start().connect, count=before).run()
            daemon.quiesce(before)
            killed_without_spares(daemon)
        ballast = path / "ballast"
        fill(ballast, room)
        daemon.start()
        if room < MIB:
            check_full(daemon)
        goes_on(daemon, before, ballast)


@pytest.mark.parametrize("segments", [1, 2, 4, 8])
def test_whichever_segment_finds_no_room_the_sender_waits_and_loses_nothing(idle_daemon, segments):
    with small_ext4(idle_daemon.folder / "disk", 16) as path:
        daemon = on_tiny_segments(idle_daemon, path).start()
        ballast = path / "ballast"
        ahead = 4  # the one in use, two at hand and a spare: none more is made while the disk is being filled
        eventually(lambda: daemon.metrics().sum("fastlogd_segments_prepared_total") == ahead)
        fill(ballast, max(0, segments - ahead) * MIB)
        load = Load(daemon.connect, rate=1e9, count=60_000)
        load.start()
        check_full(daemon)
        stored = daemon.metrics().stored
        assert stored > 0 and len(daemon.cat()) >= stored
        ballast.unlink()
        load.finish(60)
        assert daemon.quiesce(60_000, 60).dropped == 0
        check_exactly_once(b"\n".join(daemon.cat()), 60_000)
        check_room(daemon)
        daemon.verify()
        assert daemon.stop() == 0


@pytest.mark.parametrize("room", [0, 4096, 12_288, 32_768, MIB // 2], ids=lambda room: f"{room // 1024}k")
def test_a_torn_tail_without_room_for_its_copy_costs_no_record(idle_daemon, room):
    with small_ext4(idle_daemon.folder / "disk", 16) as path:
        daemon = on_tiny_segments(idle_daemon, path).start()
        Load(daemon.connect, count=4000).run()
        daemon.quiesce(4000)
        segment, end = killed_without_spares(daemon)
        with segment.open("r+b") as file:  # as a kill in the middle of a batch leaves it
            file.seek(end)
            file.write(b"\xa5" * 20_000)
        ballast = path / "ballast"
        fill(ballast, room)
        daemon.start()
        check_full(daemon)
        copies = list(daemon.log_directory.glob("*.torn-*"))
        fits = room > 20_000
        assert len(copies) == (1 if fits else 0)
        assert ("kept as" if fits else "no space to save it aside") in daemon.stderr()
        ballast.unlink()
        load = Load(daemon.connect, name="c", rate=1e9, count=2000)
        load.start()
        load.finish(30)
        daemon.quiesce(2000, 30)
        stored = b"\n".join(daemon.cat())
        check_exactly_once(stored, 4000)
        check_exactly_once(stored, 2000, "c")
        check_room(daemon)
        assert daemon.stop() == 0


def test_a_text_file_whose_disk_is_full_is_a_reason_in_healthz_and_catches_up(idle_daemon):
    daemon = idle_daemon
    with small_ext4(daemon.folder / "disk", 24) as path:
        daemon.text_path = path / "main.log"
        daemon.with_text(rotate_bytes="100MiB").start()
        ballast = path / "ballast"
        ballast.write_bytes(b"\0" * (18 * MIB))
        Load(daemon.connect, rate=1e9, count=50_000).run()
        eventually(lambda: "text file" in daemon.get("/healthz")[1], 20)
        assert daemon.get("/healthz")[1].startswith("degraded\n") and daemon.metrics().sum("fastlogd_text_failing") == 1
        assert daemon.quiesce(50_000).stored == 50_000, "the log itself goes on"
        assert f"{daemon.text_path}: " in daemon.stderr() and "No space left" in daemon.stderr()
        ballast.unlink()
        eventually(lambda: daemon.get("/healthz")[1].startswith("ok\n"), 20)
        eventually(lambda: daemon.text_path.read_bytes().count(b"\n") == 50_000, 20)
        check_exactly_once(daemon.text_path.read_bytes(), 50_000)
        assert daemon.stop() == 0

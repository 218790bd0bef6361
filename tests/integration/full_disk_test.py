"""A full disk: the log stays readable, what is lost is counted, and the daemon goes on when there is room again."""

from support.daemon import MIB, Daemon, eventually
from support.load import Load, check_exactly_once, numbers
from support.mounts import small_ext4


def on_small_disk(daemon: Daemon, path, when_full: str) -> Daemon:
    daemon.stream.update(directory=str(path / "main"), segment_bytes="4MiB", when_full=when_full,
                         retention={"bytes_max": "1GiB", "keep_free": "0"})
    daemon.log_directory = path / "main"
    return daemon.start()


def test_drop_newest_counts_every_record_it_drops(idle_daemon):
    with small_ext4(idle_daemon.folder / "disk", 48) as path:
        daemon = on_small_disk(idle_daemon, path, "drop-newest")
        Load(daemon.connect, rate=1e9, count=900_000).run()
        now = daemon.quiesce(900_000, 60)
        assert now.dropped > 0 and now.stored > 200_000 and now.stored + now.dropped == 900_000
        found = numbers(b"\n".join(daemon.cat()))
        assert found == sorted(set(found)) and len(found) == now.stored
        assert daemon.get("/healthz")[1] != ""
        daemon.verify()
        assert daemon.stop() == 0


def test_delete_oldest_keeps_the_newest(idle_daemon):
    with small_ext4(idle_daemon.folder / "disk", 48) as path:
        daemon = on_small_disk(idle_daemon, path, "delete-oldest")
        Load(daemon.connect, rate=200_000, count=900_000).run()
        now = daemon.quiesce(900_000, 60)
        assert (now.stored, now.dropped) == (900_000, 0)
        found = numbers(b"\n".join(daemon.cat()))
        assert found == list(range(found[0], 900_000)) and found[0] > 0
        daemon.verify()
        assert daemon.stop() == 0


def test_block_waits_and_loses_nothing_when_room_comes(idle_daemon):
    with small_ext4(idle_daemon.folder / "disk", 48) as path:
        ballast = path / "ballast"
        ballast.write_bytes(b"\0" * (24 * MIB))
        daemon = on_small_disk(idle_daemon, path, "block")
        load = Load(daemon.connect, rate=1e9, count=160_000, size=120)
        load.start()
        load.join(5)
        assert load.is_alive(), "the sender was to be held back"
        ballast.unlink()
        load.finish(60)
        now = daemon.quiesce(160_000, 60)
        assert (now.stored, now.dropped) == (160_000, 0)
        assert numbers(b"\n".join(daemon.cat())) == list(range(160_000))
        assert daemon.stop() == 0


def test_a_full_disk_at_the_start_is_said(idle_daemon):
    with small_ext4(idle_daemon.folder / "disk", 16) as path:
        ballast = path / "ballast"
        try:
            with ballast.open("wb") as file:
                while True:
                    file.write(b"\0" * MIB)
                    file.flush()
        except OSError:
            pass
        idle_daemon.stream.update(directory=str(path / "main"))
        idle_daemon.write_config()
        process = idle_daemon.spawn()
        eventually(lambda: "space" in idle_daemon.stderr() or process.poll() is not None, 20)
        assert process.poll() not in (0, -6, -11, -7)
        assert "space" in idle_daemon.stderr()


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

"""Retention: by bytes, by age, changed while running; readers that are overtaken are told so."""

import contextlib
import subprocess
import time

from support.daemon import MIB, Daemon, eventually
from support.load import Load, numbers


def disk_bytes(daemon: Daemon) -> int:
    total = 0
    for path in daemon.log_directory.glob("*.flog"):
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
            total += path.stat().st_blocks * 512
    return total


def test_the_log_stays_within_its_bytes(idle_daemon):
    idle_daemon.stream["retention"] = {"bytes_max": "32MiB", "keep_free": "0"}
    daemon = idle_daemon.start()
    Load(daemon.connect, rate=300_000, count=900_000).run()
    daemon.quiesce(900_000)
    eventually(lambda: disk_bytes(daemon) <= 32 * MIB + 3 * 4 * MIB)
    found = numbers(b"\n".join(daemon.cat()))
    assert found == list(range(found[0], 900_000)) and found[0] > 0
    daemon.verify()


def test_a_limit_of_a_few_segments_keeps_more_than_the_one_in_use(idle_daemon):
    """What is only prepared takes its full size, too, but must not push out what was logged."""
    idle_daemon.stream["retention"] = {"bytes_max": "16MiB", "keep_free": "0"}  # four segments
    daemon = idle_daemon.start()
    Load(daemon.connect, rate=1e9, count=50_000).run()
    daemon.quiesce(50_000)
    time.sleep(3)  # sealed, on disk, and looked at once a second
    assert disk_bytes(daemon) <= 16 * MIB
    assert numbers(b"\n".join(daemon.cat())) == list(range(50_000))


def test_a_smaller_limit_takes_effect_while_running(daemon):
    Load(daemon.connect, rate=1e9, count=400_000).run()
    daemon.quiesce(400_000)
    assert disk_bytes(daemon) > 40 * MIB
    daemon.stream["retention"]["bytes_max"] = "16MiB"
    daemon.write_config()
    eventually(lambda: disk_bytes(daemon) <= 28 * MIB)
    assert numbers(b"\n".join(daemon.cat()))[-1] == 399_999


def test_old_segments_go_by_age(idle_daemon):
    idle_daemon.stream["retention"] = {"bytes_max": "8GiB", "age_max": "2s", "keep_free": "0"}
    daemon = idle_daemon.start()
    Load(daemon.connect, rate=1e9, count=200_000).run()
    daemon.quiesce(200_000)
    eventually(lambda: disk_bytes(daemon) <= 16 * MIB, 20)
    daemon.verify()


def test_a_reader_that_is_overtaken_is_told_and_goes_on(idle_daemon, folder):
    idle_daemon.stream["retention"] = {"bytes_max": "16MiB", "keep_free": "0"}
    daemon = idle_daemon.start()
    Load(daemon.connect, rate=1e9, count=50_000).run()
    daemon.quiesce(50_000)
    output = folder / "followed"
    with output.open("wb") as out:
        reader = subprocess.Popen(daemon.ctl_command("tail", "-f", "-n", "all", "-o", "short"), stdout=out, stderr=subprocess.STDOUT)
        eventually(lambda: output.stat().st_size > 0)
        reader.send_signal(19)
        load = Load(daemon.connect, rate=1e9, count=800_000)
        load.sent = 50_000
        load.run()
        daemon.quiesce(800_000)
        time.sleep(1)
        reader.send_signal(18)
        eventually(lambda: numbers(output.read_bytes()[-4096:])[-1:] == [799_999], 30)
        reader.terminate()
        reader.wait(10)
    found = numbers(output.read_bytes())
    assert found == sorted(set(found))
    if len(found) < 800_000:
        assert b"gap" in output.read_bytes()

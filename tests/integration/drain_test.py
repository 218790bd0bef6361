"""SIGTERM: listeners close first, everything received is stored, the log is sealed, within a bound."""

import os
import re
import signal
import time

import pytest
from support import fastlog
from support.daemon import MIB, Daemon, eventually
from support.load import Load, check_exactly_once, numbers
from support.mounts import small_ext4

STATED_BOUND = 10  # fastlogd(8), SIGNALS


def last_balance(daemon: Daemon) -> dict[str, int]:
    """What the daemon said it had done, when it had stopped."""
    said = daemon.stderr().rsplit("stopped after", 1)[1].splitlines()[0]
    return {name: int(count) for name, count in re.findall(r"(received|stored|dropped|in flight) (\d+)", said)}


def test_everything_received_before_sigterm_is_stored(idle_daemon):
    daemon = idle_daemon.with_text().start()
    load = Load(daemon.connect, rate=1e9, count=400_000)
    load.start()
    load.finish()
    started = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - started < 10
    daemon.start()
    check_exactly_once(b"\n".join(daemon.cat()), 400_000)
    eventually(lambda: daemon.text_path.read_bytes().count(b"\n") == 400_000)
    daemon.verify()


def test_a_sender_that_never_stops_does_not_hold_the_daemon_up(daemon):
    loads = [Load(daemon.connect, f"l{index}", rate=200_000) for index in range(3)]
    for load in loads:
        load.start()
    eventually(lambda: daemon.metrics().stored > 20_000)
    started = time.monotonic()
    assert daemon.stop(20) == 0
    assert time.monotonic() - started < 10
    for load in loads:
        load.stop()
    balance = last_balance(daemon)
    assert balance["received"] == balance["stored"] + balance["dropped"] and balance["in flight"] == 0, balance
    assert not os.path.exists(daemon.target("unix-stream").path), "the socket file was to be removed"
    daemon.start()
    found = [numbers(b"\n".join(daemon.cat()), load.name_in_lines) for load in loads]
    assert all(one == list(range(len(one))) for one in found), "each a prefix of what was sent"
    assert sum(map(len, found)) == balance["stored"]
    daemon.verify()


def is_held_back(daemon: Daemon, load: Load) -> bool:
    before = load.sent, daemon.metrics().stored
    time.sleep(0.3)
    return (load.sent, daemon.metrics().stored) == before and daemon.metrics().in_flight > 0


@pytest.fixture
def held_back(idle_daemon):
    """A daemon whose disk is full and whose senders wait: a drain can't come to its end."""
    daemon = idle_daemon
    with small_ext4(daemon.folder / "disk", 24) as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(b"\0" * (6 * MIB))
        daemon.log_directory = disk / "main"
        daemon.stream.update(directory=str(daemon.log_directory), when_full="block",
                             retention={"bytes_max": "1GiB", "keep_free": "0"})
        daemon.start()
        load = Load(daemon.connect, rate=1e9)
        load.start()
        eventually(lambda: is_held_back(daemon, load))
        yield daemon
        if daemon.process.poll() is None:
            daemon.kill()
        load.stop()
        ballast.unlink()
        stored = numbers(b"\n".join(daemon.start().cat()))
        assert stored == list(range(len(stored))) and len(stored) > 30_000
        daemon.verify()
        daemon.kill()


def test_a_second_sigterm_ends_the_drain_at_once(held_back):
    held_back.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert held_back.process.poll() is None and held_back.metrics().in_flight > 0, "it drains, and says so"
    started = time.monotonic()
    held_back.process.send_signal(signal.SIGTERM)
    assert held_back.process.wait(20) == -signal.SIGTERM
    assert time.monotonic() - started < 2


def test_what_can_not_be_stored_within_the_bound_is_counted(held_back):
    started = time.monotonic()
    assert held_back.stop() == 0
    assert time.monotonic() - started < STATED_BOUND + 5, "and what a loaded machine adds"
    balance = last_balance(held_back)
    assert balance["received"] == balance["stored"] + balance["dropped"] and balance["in flight"] == 0, balance
    assert balance["dropped"] > 0
    assert len(numbers(b"\n".join(held_back.cat()))) == balance["stored"]


def test_what_a_client_still_holds_is_not_counted_lost_and_the_next_daemon_stores_it(idle_daemon):
    daemon = idle_daemon
    with small_ext4(daemon.folder / "disk", 24) as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(b"\0" * (6 * MIB))
        daemon.log_directory = disk / "main"
        daemon.stream.update(directory=str(daemon.log_directory), when_full="block",
                             retention={"bytes_max": "1GiB", "keep_free": "0"})
        daemon.start()
        with fastlog.opened(daemon, flags=fastlog.DROP) as log:
            while daemon.metrics().sum("fastlogd_disk_full") == 0 or daemon.metrics().in_flight == 0:
                while log.write(b"x" * 1000) == fastlog.OK:
                    pass
                time.sleep(0.05)
            written = log.counts().written
            assert daemon.stop() == 0
            balance = last_balance(daemon)
            assert balance["dropped"] == 0 and balance["in flight"] > 0, balance
            ballast.unlink()
            daemon.start()
            assert log.flush(timeout_ms=30_000) == fastlog.OK
            assert log.counts().written == written
        assert b"shutdown" not in daemon.ctl("gaps", "--json").stdout
        assert len(daemon.cat()) == written
        daemon.verify()
        daemon.kill()


def test_sigint_stops_it_too(daemon):
    daemon.process.send_signal(signal.SIGINT)
    assert daemon.process.wait(20) == 0


def test_a_stop_right_after_the_start_is_clean(idle_daemon):
    for delay in (0.0, 0.01, 0.05, 0.1):
        idle_daemon.write_config()
        process = idle_daemon.spawn()
        time.sleep(delay)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM)
    idle_daemon.start()
    idle_daemon.verify()


def test_a_change_that_is_found_while_it_stops_is_no_reload(daemon):
    """What waits to be done when SIGTERM comes, in the same round, finds the parts gone that it would work on."""
    daemon.stream["retention"]["bytes_max"] = "4GiB"
    daemon.write_config()
    time.sleep(0.05)  # seen, and looked at 100 ms after it
    os.kill(daemon.process.pid, signal.SIGSTOP)
    time.sleep(0.2)
    os.kill(daemon.process.pid, signal.SIGTERM)
    os.kill(daemon.process.pid, signal.SIGCONT)
    assert daemon.process.wait(30) == 0, daemon.stderr()
    assert "is in force" not in daemon.stderr().split("SIGTERM: stopping", 1)[1]

"""SIGTERM: listeners close first, everything received is stored, the log is sealed, within a bound."""

import os
import signal
import time

import pytest
from support.daemon import Daemon, eventually
from support.load import Load, check_exactly_once, numbers
from support.mounts import nearly_full_disk

STATED_BOUND = 10  # fastlogd(8), SIGNALS


def test_everything_received_before_sigterm_is_stored(idle_daemon):
    daemon = idle_daemon.with_text().start()
    # More than a ring holds. The text file is behind by most of it, and a slow one would use up the bound.
    load = Load(daemon.connect, rate=1e9, count=100_000)
    load.start()
    load.finish()
    started = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - started < STATED_BOUND
    daemon.start()
    check_exactly_once(b"\n".join(daemon.cat()), 100_000)
    eventually(lambda: daemon.text_path.read_bytes().count(b"\n") == 100_000)
    daemon.verify()


def test_a_sender_that_never_stops_does_not_hold_the_daemon_up(daemon):
    loads = [Load(daemon.connect, f"l{index}", rate=200_000) for index in range(3)]
    for load in loads:
        load.start()
    eventually(lambda: daemon.metrics().stored > 20_000)
    started = time.monotonic()
    assert daemon.stop(20) == 0
    assert time.monotonic() - started < STATED_BOUND
    for load in loads:
        load.stop()
    balance = daemon.last_balance()
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
    now = daemon.metrics()
    return (load.sent, now.stored) == before and now.in_flight > 0 and now.sum("fastlogd_disk_full") == 1


@pytest.fixture
def held_back(idle_daemon):
    """A daemon whose disk is full and whose senders wait: a drain can't come to its end."""
    daemon = idle_daemon
    with nearly_full_disk(daemon) as ballast:
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
    balance = held_back.last_balance()
    assert balance["received"] == balance["stored"] + balance["dropped"] and balance["in flight"] == 0, balance
    assert balance["dropped"] > 0
    assert len(numbers(b"\n".join(held_back.cat()))) == balance["stored"]


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

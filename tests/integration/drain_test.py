"""SIGTERM: listeners close first, everything received is stored, the log is sealed, within a bound."""

import os
import signal
import time

from support.daemon import eventually
from support.load import Load, check_exactly_once


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
    assert not os.path.exists(daemon.target("unix-stream").path), "the socket file was to be removed"
    daemon.start()
    daemon.verify()


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

"""Descriptors run out: those inside are served, those refused are counted, nothing spins, and it ends with the flood."""

import contextlib
import os
import resource
import socket
import time

from support.daemon import Daemon, eventually
from support.load import Load, check_exactly_once

LIMIT = 200


def refused(daemon: Daemon) -> int:
    return daemon.metrics().sum("fastlogd_closed_connections_total", reason="descriptors")


def busy_seconds(daemon: Daemon) -> float:
    """Processor time so far."""
    fields = open(f"/proc/{daemon.process.pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def descriptor_limit(daemon: Daemon, soft: int):
    """A lower limit for the running daemon: what is open stays open."""
    before = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (soft, before[1]))
    try:
        yield
    finally:
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, before)


def open_numbers(daemon: Daemon) -> set[int]:
    return {int(name) for name in os.listdir(f"/proc/{daemon.process.pid}/fd")}


def first_free_number(daemon: Daemon) -> int:
    """Once nothing changes any more: the housekeeper keeps a descriptor for each segment it prepares."""
    def settled() -> bool:
        before = open_numbers(daemon)
        time.sleep(0.6)
        return open_numbers(daemon) == before
    eventually(settled)
    taken = open_numbers(daemon)
    return next(number for number in range(len(taken) + 1) if number not in taken)


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def flood(daemon: Daemon, stack: contextlib.ExitStack, count: int) -> list[socket.socket]:
    connections = [stack.enter_context(daemon.connect()) for _ in range(count)]
    for connection in connections:
        connection.setblocking(False)
    return connections


def test_a_flood_leaves_descriptors_for_segments_and_metrics(idle_daemon):
    daemon = idle_daemon.start(prefix=("prlimit", f"--nofile={LIMIT}"))
    with contextlib.ExitStack() as stack:
        load = Load(daemon.connect, rate=1e9, count=150_000)  # four segments
        crowd = flood(daemon, stack, 2 * LIMIT)
        eventually(lambda: sum(map(is_closed, crowd)) == refused(daemon) > 0)
        assert len(crowd) - refused(daemon) > LIMIT // 2, "most descriptors are for connections"
        load.start()
        load.finish(30)
        eventually(lambda: daemon.metrics().stored == 150_000)
        assert (daemon.metrics().dropped, daemon.metrics().sum("fastlogd_disk_full")) == (0, 0)
    check_exactly_once(b"\n".join(daemon.cat()), 150_000)
    said = [line for line in daemon.stderr().splitlines() if "was refused: the last descriptors" in line]
    assert len(said) <= 2 and "listener app" in said[0] and "LimitNOFILE" in said[0], said
    eventually(lambda: daemon.metrics().sum("fastlogd_open_connections") == 0)
    with daemon.connect() as connection:
        connection.sendall(b"after the flood\n")
    assert daemon.quiesce(150_001).dropped == 0


def test_without_a_descriptor_a_peer_is_closed_by_means_of_the_reserve(daemon):
    with contextlib.ExitStack() as stack:
        flood(daemon, stack, 30)  # they fill the holes that the start has left among the numbers
        eventually(lambda: daemon.metrics().sum("fastlogd_open_connections") == 30)
        stack.enter_context(descriptor_limit(daemon, first_free_number(daemon)))
        crowd = flood(daemon, stack, 100)
        eventually(lambda: all(map(is_closed, crowd)))
    now = daemon.metrics()
    assert now.sum("fastlogd_closed_connections_total", reason="descriptors") == 100
    assert now.sum("fastlogd_accept_errors_total") >= 100
    said = [line for line in daemon.stderr().splitlines() if "no connection can be accepted" in line]
    assert len(said) <= 2 and "Too many open files" in said[0], said


def test_without_even_the_reserve_it_waits_and_does_not_spin(daemon):
    with contextlib.ExitStack() as stack:
        with descriptor_limit(daemon, 3):
            crowd = flood(daemon, stack, 10)
            for connection in crowd:
                connection.sendall(b"sent meanwhile\n")
            before = busy_seconds(daemon)
            time.sleep(2)
            assert busy_seconds(daemon) - before < 0.5
            assert daemon.process.poll() is None
        eventually(lambda: daemon.metrics().stored >= 9)
    now = daemon.quiesce()
    # The try that spends the reserve may cost one peer its connection, no more.
    assert now.stored + now.sum("fastlogd_closed_connections_total", reason="descriptors") == 10
    assert daemon.cat() == [b"sent meanwhile"] * now.stored

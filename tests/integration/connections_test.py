"""Floods of connections: the limit holds, is counted, and those inside it are served."""

import contextlib
import socket

from support.daemon import eventually
from support.load import Load, check_exactly_once


def test_connections_over_the_limit_are_refused_and_counted(idle_daemon):
    idle_daemon.config["limits"] = {"connections_max": 10}
    idle_daemon.start()
    with contextlib.ExitStack() as stack:
        first = [stack.enter_context(idle_daemon.connect()) for _ in range(10)]
        eventually(lambda: idle_daemon.metrics().sum("fastlogd_open_connections") == 10)
        more = [stack.enter_context(idle_daemon.connect()) for _ in range(20)]
        for connection in more:
            connection.settimeout(5)
            with contextlib.suppress(ConnectionError):
                assert connection.recv(1) == b""
        for connection in first:
            connection.sendall(b"inside\n")
    now = idle_daemon.quiesce(10)
    assert now.stored == 10
    assert now.sum("fastlogd_closed_connections_total", reason="connections_max") == 20


def test_a_thousand_idle_and_half_open_connections_disturb_nobody(daemon):
    with contextlib.ExitStack() as stack:
        for index in range(1000):
            connection = stack.enter_context(daemon.connect())
            if index % 2:
                connection.sendall(b"never finished")
        load = Load(daemon.connect, rate=1e9, count=50_000)
        load.start()
        load.finish(30)
        eventually(lambda: daemon.metrics().stored >= 50_000)
        check_exactly_once(b"\n".join(daemon.cat()), 50_000)
    daemon.quiesce(50_500)


def test_connections_that_come_and_go_leave_no_descriptor_behind(daemon):
    for _ in range(2000):
        with daemon.connect() as connection:
            connection.sendall(b"short visit\n")
    daemon.quiesce(2000)
    eventually(lambda: daemon.metrics().sum("fastlogd_open_connections") == 0)


def test_a_connection_reset_in_mid_message_keeps_what_was_whole(daemon):
    connection = socket.create_connection(("127.0.0.1", daemon.syslog_port))
    connection.sendall(b"whole\nbroken off")
    eventually(lambda: daemon.cat() == [b"whole"])
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
    daemon.quiesce(1)
    assert daemon.cat()[0] == b"whole"

"""The HTTP port: read-only, answers what it should and refuses the rest without falling over."""

import http.client
import os
import signal
import socket
import time

import pytest
from support.daemon import eventually
from support.faults import slowed


def request(daemon, method: str, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", daemon.http_port, timeout=5)
    connection.request(method, path)
    return connection.getresponse().status


def test_health_and_readiness(daemon):
    assert daemon.get("/readyz")[0] == 200 and daemon.get("/readyz")[1].strip() == "ok"
    assert daemon.get("/healthz")[0] == 200


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/", 404), ("GET", "/nothing", 404), ("POST", "/metrics", 405), ("POST", "/reload", 404), ("DELETE", "/readyz", 405),
    ("HEAD", "/metrics", 200), ("GET", "/metrics?x=y", 200), ("GET", "/../../etc/passwd", 404),
])
def test_only_what_is_published_is_answered(daemon, method, path, status):
    got = request(daemon, method, path)
    assert got == status or (status in (404, 405) and got in (404, 405)), got


def test_control_is_not_on_the_network_port(daemon):
    for path in ("/reload", "/rotate", "/sync"):
        assert request(daemon, "POST", path) in (404, 405)
    assert daemon.metrics().reloads == (0, 0)


@pytest.mark.parametrize("rubbish", [b"\0" * 1000, b"GET " + b"a" * 100_000, b"GET / HTTP/1.1\r\n" + b"h: v\r\n" * 100_000, b"\x16\x03\x01"],
                         ids=["zeros", "long path", "many headers", "tls"])
def test_rubbish_closes_only_its_own_connection(daemon, rubbish):
    with socket.create_connection(("127.0.0.1", daemon.http_port)) as connection:
        try:
            connection.sendall(rubbish)
        except ConnectionError:
            pass
        assert daemon.get("/readyz")[0] == 200


def test_silent_connections_are_ended_and_hold_nobody_up(daemon):
    silent = [socket.create_connection(("127.0.0.1", daemon.http_port)) for _ in range(200)]
    assert daemon.get("/metrics")[0] == 200
    eventually(lambda: silent[0].recv(1) == b"", 60)
    for connection in silent:
        connection.close()


def test_the_control_socket_is_for_its_group_only(daemon):
    path = daemon.folder / "run" / "control.sock"
    assert os.stat(path).st_mode & 0o777 == 0o660


def test_a_long_stop_calls_no_thread_stalled(daemon):
    """Its last sync takes longer than a thread may be silent for while the daemon runs."""
    with slowed(daemon, "fdatasync", seconds=8):
        with daemon.connect() as connection:
            connection.sendall(b"one\n")
        daemon.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        while time.monotonic() - began < 6.5:
            status, text = daemon.get("/healthz")
            assert "duty cycle" not in text, (status, text)
            time.sleep(0.2)
        daemon.kill()

"""Files that somebody removes under a running daemon: it notices, says so, and there is a way back."""

import json
import os
import pathlib
import socket

from support.daemon import Daemon, eventually


def active_segment(daemon: Daemon) -> pathlib.Path:
    (stream,) = json.loads(daemon.ctl("status", "--json").stdout)["streams"]
    return daemon.log_directory / f"{int(stream['committed'].split(':')[0]):020}.flog"


def is_degraded_by(daemon: Daemon, reason: str) -> bool:
    status, page = daemon.get("/healthz")
    return status == 200 and page.startswith("degraded\n") and reason in page


def send(daemon: Daemon, line: bytes) -> None:
    stored = daemon.metrics().stored
    with daemon.connect() as connection:
        connection.sendall(line + b"\n")
    eventually(lambda: daemon.metrics().stored == stored + 1)


def test_a_removed_active_segment_is_told_until_the_log_goes_on_in_the_next(daemon):
    send(daemon, b"lost with the file")
    assert daemon.metrics().sum("fastlogd_active_segment_removed") == 0
    victim = active_segment(daemon)
    victim.unlink()
    eventually(lambda: daemon.metrics().sum("fastlogd_active_segment_removed") == 1)
    assert is_degraded_by(daemon, "stream main: the file being written was removed or renamed")
    eventually(lambda: str(victim) in daemon.stderr())
    daemon.ctl("rotate")
    eventually(lambda: daemon.metrics().sum("fastlogd_active_segment_removed") == 0)
    assert "removed or renamed" not in daemon.get("/healthz")[1]
    send(daemon, b"in the next file")
    assert b"in the next file" in daemon.cat()


def test_a_directory_that_was_renamed_is_told_until_it_is_back(daemon):
    send(daemon, b"kept")
    away = daemon.log_directory.with_name("away")
    daemon.log_directory.rename(away)
    eventually(lambda: daemon.metrics().sum("fastlogd_active_segment_removed") == 1)
    away.rename(daemon.log_directory)
    eventually(lambda: daemon.metrics().sum("fastlogd_active_segment_removed") == 0)
    assert daemon.cat() == [b"kept"]


def test_a_removed_socket_file_is_told_and_a_reload_opens_it_again(daemon):
    path = pathlib.Path(daemon.target("unix-stream").path)
    path.unlink()
    assert is_degraded_by(daemon, "listener app: its socket file is gone; a reload opens it again")
    daemon.ctl("reload")
    assert path.is_socket() and daemon.get("/healthz")[1].startswith("ok\n")
    send(daemon, b"found again")
    assert daemon.cat() == [b"found again"]


def test_a_removed_control_socket_comes_back(daemon):
    path = daemon.folder / "run" / "control.sock"
    for _ in range(2):
        path.unlink()
        eventually(lambda: daemon.ctl("status", check=False).returncode == 0, 5)
    assert "was gone" in daemon.stderr()


def test_a_stop_leaves_alone_what_somebody_put_in_place_of_the_control_socket(daemon):
    path = daemon.folder / "run" / "control.sock"
    other = socket.socket(socket.AF_UNIX)
    other.bind(str(path) + ".other")
    other.listen(4)
    os.rename(str(path) + ".other", path)
    assert daemon.stop() == 0
    assert path.is_socket()

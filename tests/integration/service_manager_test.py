"""What the daemon tells a service manager and what it takes from one, without a real systemd: see systemd_test for that."""

import configparser
import os
import re
import signal
import socket
import subprocess
import time

import pytest
from support.daemon import BIN, eventually
from support.service_manager import ServiceManager, activate
from support.source_tree import ROOT


@pytest.fixture
def manager(folder):
    return ServiceManager(folder)


def test_it_says_ready_reloading_and_stopping(idle_daemon, manager):
    daemon = idle_daemon.start(NOTIFY_SOCKET=manager.path)
    eventually(lambda: manager.heard(READY="1"))
    assert "1 stream" in manager.said[-1]["STATUS"]
    manager.forget()
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: manager.heard(READY="1"))
    reloading = next(message for message in manager.said if "RELOADING" in message)
    assert 0 < time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000 - int(reloading["MONOTONIC_USEC"]) < 10_000_000
    assert "generation 2" in manager.said[-1]["STATUS"]
    manager.forget()
    assert daemon.stop() == 0
    assert manager.heard(STOPPING="1")


def test_a_refused_reload_ends_for_the_service_manager_too(idle_daemon, manager):
    daemon = idle_daemon.start(NOTIFY_SOCKET=manager.path)
    manager.forget()
    daemon.config_path.write_text("nonsense: true\n")
    eventually(lambda: manager.heard(RELOADING="1") and manager.heard(READY="1"))
    assert "generation 1" in manager.said[-1]["STATUS"]


def test_the_watchdog_is_fed_while_nothing_happens(idle_daemon, manager):
    idle_daemon.start(NOTIFY_SOCKET=manager.path, WATCHDOG_USEC="400000")
    for _ in range(3):
        manager.forget()
        eventually(lambda: manager.heard(WATCHDOG="1"), 2)


def bound(path: str, kind: socket.SocketKind) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, kind)
    made.bind(path)
    if kind == socket.SOCK_STREAM:
        made.listen(16)
    return made


def by_name(sockets: dict[str, socket.socket]) -> list[tuple[str, int]]:
    return [(name, one.fileno()) for name, one in sockets.items()]


def test_inherited_sockets_are_served_by_name_and_outlive_the_daemon(idle_daemon):
    daemon = idle_daemon
    stream_path, datagram_path = daemon.target("unix-stream").path, daemon.target("unix-datagram").path
    sockets = {"app": bound(stream_path, socket.SOCK_STREAM), "devlog": bound(datagram_path, socket.SOCK_DGRAM)}
    early = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    early.sendto(b"before the start", datagram_path)
    activate(daemon, by_name(sockets))
    with daemon.connect() as connection:
        connection.sendall(b"while it runs\n")
    daemon.quiesce(2)
    assert daemon.stop() == 0
    assert os.path.exists(stream_path) and os.path.exists(datagram_path)
    early.sendto(b"while it is down", datagram_path)
    activate(daemon, by_name(sockets))
    daemon.quiesce(1)
    assert sorted(daemon.cat()) == [b"before the start", b"while it is down", b"while it runs"]


def test_inherited_sockets_are_found_by_address_when_the_name_says_nothing(idle_daemon):
    path = idle_daemon.target("unix-stream").path
    sockets = {"unknown": bound(path, socket.SOCK_STREAM)}
    activate(idle_daemon, by_name(sockets))
    with idle_daemon.connect() as connection:
        connection.sendall(b"found\n")
    idle_daemon.quiesce(1)


def test_an_inherited_socket_of_another_path_is_not_read_and_told_of(idle_daemon, folder):
    daemon = idle_daemon
    sockets = {"app": bound(str(folder / "elsewhere"), socket.SOCK_STREAM)}
    activate(daemon, by_name(sockets))
    with daemon.connect() as connection:  # where the configuration says
        connection.sendall(b"found\n")
    daemon.quiesce(1)
    assert daemon.stderr().count("socket app of the service manager has no listener: nobody reads what is sent there") == 1


def test_the_mode_of_an_inherited_socket_is_its_units(idle_daemon):
    daemon = idle_daemon
    path = daemon.target("unix-stream").path
    sockets = {"app": bound(path, socket.SOCK_STREAM)}
    os.chmod(path, 0o600)
    activate(daemon, by_name(sockets))
    assert f"{path} has mode 0600, not 0666" in daemon.stderr() and "SocketMode=" in daemon.stderr()
    daemon.listener("app")["mode"] = "0660"
    daemon.write_config()
    refused = daemon.ctl("reload", check=False)
    assert refused.returncode != 0 and b"SocketMode= of its unit says who may connect" in refused.stdout + refused.stderr
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_an_inherited_socket_that_a_reload_leaves_without_a_listener_is_told_of(idle_daemon):
    daemon = idle_daemon
    sockets = {"app": bound(daemon.target("unix-stream").path, socket.SOCK_STREAM)}
    activate(daemon, by_name(sockets))
    assert "has no listener" not in daemon.stderr()
    daemon.config["listeners"] = [one for one in daemon.config["listeners"] if one["name"] != "app"]
    daemon.write_config()
    daemon.ctl("reload")
    eventually(lambda: "socket app of the service manager has no listener" in daemon.stderr())


def test_the_unit_is_started_again_for_good(folder):
    """Five failed starts within ten seconds would be systemd's own limit; and systemd finds nothing to say about the units."""
    for unit in (ROOT / "systemd").glob("fastlogd*"):
        (folder / unit.name).write_text(unit.read_text().replace("=/usr/bin/", f"={BIN.resolve()}/"))
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(folder / "fastlogd.service")
    assert (unit["Service"]["Restart"], unit["Unit"]["StartLimitIntervalSec"]) == ("on-failure", "0")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *folder.glob("fastlogd*")], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_daemon_that_can_not_start_costs_no_socket():
    """systemd's own limit is twenty activations in two seconds; then the socket fails, with what waits in it."""
    sockets = list((ROOT / "systemd").glob("*.socket"))
    assert len(sockets) == 2
    for path in sockets:
        unit = configparser.ConfigParser(strict=False, interpolation=None)
        unit.optionxform = str
        unit.read(path)
        assert unit["Socket"]["TriggerLimitIntervalSec"] == "0", path
    service = (ROOT / "systemd" / "fastlogd.service").read_text()
    assert "RestartPreventExitStatus=78" in service and re.search(r"^ExecStopPost=.*78.*sleep", service, re.MULTILINE), "no busy loop"


def test_the_unit_is_confined():
    """By the file alone; systemd_test looks at the running service."""
    unit = ROOT / "systemd" / "fastlogd.service"
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=15", str(unit)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr  # the threshold is in tenths

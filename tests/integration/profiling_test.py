"""Profiles of the running daemon: who may take them, that pprof reads them, and that the daemon goes on meanwhile."""

import ctypes.util
import http.client
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import threading
import time

import pytest
from support.daemon import BIN, Daemon, eventually
from support.load import Load

PROFILE, HEAP = "/debug/pprof/profile", "/debug/pprof/heap"


class ControlConnection(http.client.HTTPConnection):
    def __init__(self, path: pathlib.Path):
        super().__init__("localhost", timeout=20)
        self.path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def by_control(daemon: Daemon, path: str) -> tuple[int, bytes]:
    return ask(ControlConnection(daemon.folder / "run/control.sock"), path)


def by_port(daemon: Daemon, path: str) -> tuple[int, bytes]:
    return ask(http.client.HTTPConnection("127.0.0.1", daemon.http_port, timeout=20), path)


def allow(daemon: Daemon, who: str) -> Daemon:
    daemon.config["diagnostics"] = {"profiling": who}
    return daemon


def has_loaded_the_profiler(daemon: Daemon) -> bool:
    """What the first request for a profile does, just before the profile begins."""
    return "libprofiler" in pathlib.Path(f"/proc/{daemon.process.pid}/maps").read_text()


@pytest.fixture
def library():
    if not ctypes.util.find_library("profiler"):
        pytest.skip("libprofiler.so.0 is not installed (./dev test installs it)")


@pytest.fixture
def allocator():
    """What is preloaded for the heap profile."""
    name = ctypes.util.find_library("tcmalloc")
    if not name:
        pytest.skip("libtcmalloc.so.4 is not installed (./dev test installs it)")
    return {"LD_PRELOAD": name}


def run(*command, **environment: str) -> str:
    done = subprocess.run(command, env=os.environ | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


def go_reads(profile: pathlib.Path, *options: str) -> None:
    """It knows samples and mappings. (The names of C++ functions it leaves to google-pprof.)"""
    if shutil.which("go"):
        shown = run("go", "tool", "pprof", "-top", *options, BIN / "fastlogd", profile)
        share = re.search(r"([\d.]+)% +\[fastlogd\]$", shown, re.MULTILINE)
        assert share and float(share[1]) > 20, shown


def functions(profile: pathlib.Path, *options: str) -> str:
    if not shutil.which("google-pprof"):
        pytest.skip("google-pprof is not installed (./dev test installs it)")
    # By nm: where there are line tables addr2line takes minutes, for lines that nobody asks for.
    return run("google-pprof", "--tools=addr2line:/bin/false,/usr/bin/", "--text", *options, BIN / "fastlogd", profile)


def test_nobody_profiles_unless_the_configuration_says_so(daemon):
    for ask_it in (by_control, by_port):
        for path in (PROFILE, HEAP, "/debug/pprof/symbol"):
            assert ask_it(daemon, path)[0] == 404


def test_who_may_changes_with_the_configuration(daemon):
    """Switched on for the moment in which something is looked for, without a restart."""
    for who, control, port in (("control", 400, 404), ("http", 400, 400), ("off", 404, 404)):
        allow(daemon, who).write_config()
        eventually(lambda c=control: by_control(daemon, PROFILE + "?seconds=0")[0] == c)
        eventually(lambda p=port: by_port(daemon, PROFILE + "?seconds=0")[0] == p)


def test_a_cpu_profile_shows_where_time_goes_while_the_daemon_goes_on(idle_daemon, folder, library):
    daemon = allow(idle_daemon, "http").start()
    assert not has_loaded_the_profiler(daemon)
    load = Load(daemon.connect, rate=1e9, count=100_000_000)
    load.start()
    answers = []
    thread = threading.Thread(target=lambda: answers.append(by_port(daemon, PROFILE + "?seconds=3")))
    thread.start()
    eventually(lambda: has_loaded_the_profiler(daemon))
    assert by_control(daemon, PROFILE + "?seconds=1")[0] == 409  # one at a time
    scrapes = 0
    while thread.is_alive():
        before = time.monotonic()
        daemon.metrics()
        assert time.monotonic() - before < 1.5
        scrapes += 1
        time.sleep(0.05)
    thread.join()
    load.stop()
    assert scrapes > 5
    status, body = answers[0]
    assert status == 200
    # gperftools' own format: a header of five words, samples, a trailer and the process's mappings.
    assert struct.unpack_from("<5Q", body) == (0, 3, 0, 10_000, 0) and b"fastlogd" in body[-20_000:]
    profile = folder / "cpu.prof"
    profile.write_bytes(body)
    go_reads(profile)
    shown = functions(profile)
    assert "fastlogd::append::Appender::" in shown and "fastlogd::ingest::" in shown, shown


def test_go_fetches_a_profile_and_the_names_in_it(idle_daemon, folder, library):
    """Its own tool doesn't read the symbols of a C++ program: it asks the daemon for them."""
    if not shutil.which("go"):
        pytest.skip("Go is not installed")
    daemon = allow(idle_daemon, "http").start()
    load = Load(daemon.connect, rate=1e9, count=100_000_000)
    load.start()
    url = f"http://127.0.0.1:{daemon.http_port}{PROFILE}?seconds=3"
    shown = run("go", "tool", "pprof", "-top", "-nodecount=500", url, HOME=str(folder), PPROF_TMPDIR=str(folder))
    load.stop()
    assert "fastlogd::append::Appender::" in shown and "fastlogd::ingest::" in shown, shown
    assert run("curl", "-s", f"http://127.0.0.1:{daemon.http_port}/debug/pprof/symbol").startswith("num_symbols: 1")


def test_a_stop_does_not_wait_for_a_profile(idle_daemon, library):
    daemon = allow(idle_daemon, "http").start()
    answers = []
    thread = threading.Thread(target=lambda: answers.append(by_port(daemon, PROFILE + "?seconds=300")))
    thread.start()
    eventually(lambda: has_loaded_the_profiler(daemon))
    assert by_control(daemon, PROFILE + "?seconds=1")[0] == 409
    before = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - before < 20
    thread.join(10)
    assert not thread.is_alive() and answers[0][0] == 200


def test_a_heap_profile_needs_the_allocator_and_says_so(idle_daemon):
    daemon = allow(idle_daemon, "control").start(LD_PRELOAD="")
    status, body = by_control(daemon, HEAP)
    assert status == 501 and b"libtcmalloc.so.4" in body


def test_a_heap_profile_shows_what_was_allocated(idle_daemon, folder, allocator):
    daemon = allow(idle_daemon, "control").start(**allocator)
    eventually(lambda: by_control(daemon, HEAP)[0] == 200)
    for _ in range(20):
        daemon.metrics()
    Load(daemon.connect, rate=1e9, count=100_000).run()
    status, body = by_control(daemon, HEAP)
    assert status == 200 and body.startswith(b"heap profile: ") and b"MAPPED_LIBRARIES" in body
    profile = folder / "heap.prof"
    profile.write_bytes(body)
    allow(daemon, "off").write_config()
    eventually(lambda: by_control(daemon, HEAP)[0] == 404)
    assert not list(daemon.folder.rglob("*.heap"))
    daemon.verify()
    go_reads(profile, "-alloc_space")
    assert "fastlogd::metrics::Registry::render" in functions(profile, "--alloc_space")

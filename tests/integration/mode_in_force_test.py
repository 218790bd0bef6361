"""P12: the durability that `fastlogctl status` and the metrics report is the one in force, judged by the system calls."""

import json
import pathlib
import re
import subprocess
import time

import pytest
from support.daemon import Daemon
from support.load import Load
from support.senders import program

INTERVAL_MS = 200
LOAD_SECONDS = 2.5


def start_traced(daemon: Daemon, trace: pathlib.Path, *inject: str) -> Daemon:
    """Under strace, which writes down every fdatasync with its time and thread."""
    tracer = program("strace")
    if subprocess.run([tracer, "-o", "/dev/null", "true"], capture_output=True).returncode != 0:
        pytest.skip("strace may not trace here")
    options = [option for what in inject for option in ("-e", f"inject={what}")]
    return daemon.start(prefix=(tracer, "-f", "-ttt", "-qq", "-o", str(trace), "-e", "trace=fdatasync", *options))


def sync_thread(daemon: Daemon) -> int:
    """The thread that makes the stream durable, of the daemon under strace."""
    tracer = daemon.process.pid
    child = pathlib.Path(f"/proc/{tracer}/task/{tracer}/children").read_text().split()[0]
    return next(int(task.name) for task in pathlib.Path(f"/proc/{child}/task").iterdir()
                if (task / "comm").read_text().strip().startswith("fl-sync"))


def observed_mode(daemon: Daemon, trace: pathlib.Path) -> str:
    """What the sync thread does under a steady load tells its mode."""
    thread = sync_thread(daemon)
    load = Load(daemon.connect, rate=1000)
    load.start()
    began = time.time()
    time.sleep(LOAD_SECONDS)
    load.stop()
    calls = [float(found[1]) for line in trace.read_text().splitlines()
             if (found := re.match(rf"{thread} +(\d+\.\d+) fdatasync\(", line)) and float(found[1]) > began]
    due = LOAD_SECONDS * 1000 / INTERVAL_MS
    if not calls:
        return "none"
    if len(calls) > due * 4:
        return "group"
    return "interval" if due / 4 <= len(calls) <= due * 1.5 else f"{len(calls)} syncs where {due} were due"


def reported_modes(daemon: Daemon) -> set[str]:
    status = json.loads(daemon.ctl("status", "--json").stdout)
    metric = re.findall(r'^fastlogd_\w+\{.*durability="(\w+)"', daemon.get("/metrics")[1], re.MULTILINE)
    return {status["streams"][0]["durability"], *metric}


@pytest.mark.parametrize(("wanted", "mode"), [("none", "none"), ("interval", "interval"), ("group", "group"), ("dax", "group")])
def test_P12_the_reported_mode_is_the_mode_in_force(idle_daemon, wanted, mode):
    """`dax` is asked for where there is no persistent memory."""
    idle_daemon.stream["durability"] = {"mode": wanted, "interval": f"{INTERVAL_MS}ms"}
    trace = idle_daemon.folder / "trace"
    daemon = start_traced(idle_daemon, trace)
    assert reported_modes(daemon) == {mode} == {observed_mode(daemon, trace)}


def test_P12_a_daemon_that_reports_a_mode_and_does_not_keep_it_is_caught(idle_daemon):
    idle_daemon.stream["durability"] = {"mode": "interval", "interval": f"{INTERVAL_MS}ms"}
    trace = idle_daemon.folder / "trace"
    daemon = start_traced(idle_daemon, trace, "fdatasync:delay_enter=20000000:when=4+")
    time.sleep(1)
    assert reported_modes(daemon) != {observed_mode(daemon, trace)}
    daemon.kill()

"""P12: what `fastlogctl status` and the metrics report is in force: the durability is judged by the system calls, how
the log is written and the page size by what the kernel says of the process's mappings."""

import itertools
import json
import pathlib
import re
import statistics
import time

import pytest
from support.daemon import Daemon, eventually
from support.faults import working_strace
from support.load import Load
from support.mounts import mounted

INTERVAL_MS = 500
LOAD_SECONDS = 2.5  # who has not synced by then does not
ENOUGH_SYNCS = 6
PATIENCE_SECONDS = 12


def start_traced(daemon: Daemon, trace: pathlib.Path, *inject: str) -> Daemon:
    """Under strace, which writes down every fdatasync with its time, its length and its thread."""
    options = [option for what in inject for option in ("-e", f"inject={what}")]
    return daemon.start(prefix=(working_strace(), "-f", "-ttt", "-T", "-qq", "-o", str(trace), "-e", "trace=fdatasync", *options))


def sync_thread(daemon: Daemon) -> int:
    """The thread that makes the stream durable, of the daemon under strace; it takes its name when it first runs."""
    tracer = daemon.process.pid
    child = pathlib.Path(f"/proc/{tracer}/task/{tracer}/children").read_text().split()[0]
    return eventually(lambda: next((int(task.name) for task in pathlib.Path(f"/proc/{child}/task").iterdir()
                                    if (task / "comm").read_text().startswith("fl-sync")), None))


def syncs(trace: pathlib.Path, thread: int, since: float) -> list[tuple[float, float]]:
    """When that thread's syncs began and ended; of one that lasts, its beginning alone is written."""
    text = trace.read_text()
    began = [float(at) for at in re.findall(rf"^{thread} +(\d+\.\d+) fdatasync\(", text, re.MULTILINE)]
    lasted = [float(time) for time in re.findall(rf"^{thread} .*fdatasync.*<(\d+\.\d+)>$", text, re.MULTILINE)]
    return [(at, at + time) for at, time in zip(began, lasted) if at > since]


def observed_mode(daemon: Daemon, trace: pathlib.Path) -> str:
    """What the sync thread does under a steady load tells its mode: how long it waits behind a sync before the next one,
    however long the disk takes for them."""
    thread = sync_thread(daemon)
    load = Load(daemon.connect, rate=1000)
    load.start()
    began = time.time()
    while (lasted := time.time() - began) < PATIENCE_SECONDS:
        time.sleep(0.1)
        found = syncs(trace, thread, began)
        if len(found) > ENOUGH_SYNCS or (lasted > LOAD_SECONDS and not found):
            break
    load.stop()
    if not found:
        return "none"
    if len(found) <= ENOUGH_SYNCS:
        return f"{len(found)} syncs in {lasted:.1f} s"
    pause = 1000 * statistics.median(later[0] - earlier[1] for earlier, later in itertools.pairwise(found))
    if pause < INTERVAL_MS / 4:
        return "group"
    every = 1000 * statistics.median(later[0] - earlier[0] for earlier, later in itertools.pairwise(found))
    return "interval" if INTERVAL_MS * 2 / 3 <= every <= INTERVAL_MS * 4 / 3 else f"a sync every {every:.0f} ms"


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


def mapped_as(daemon: Daemon) -> dict[str, bool]:
    """How the active segment is mapped into the daemon: writable at all, with huge pages, and asked for them."""
    stream = json.loads(daemon.ctl("status", "--json").stdout)["streams"][0]
    active = f"{int(stream['committed'].split(':')[0]):020}.flog"
    found = {"writable": False, "huge": False, "asked": False}
    inside = False
    for line in pathlib.Path(f"/proc/{daemon.process.pid}/smaps").read_text().splitlines():
        words = line.split()
        if re.fullmatch(r"[0-9a-f]+-[0-9a-f]+", words[0]):
            inside = words[-1].endswith(f"/{active}") and words[1].startswith("rw")
            found["writable"] |= inside
        elif inside and words[0] in ("FilePmdMapped:", "ShmemPmdMapped:"):
            found["huge"] |= int(words[1]) > 0
        elif inside and words[0] == "VmFlags:":
            found["asked"] |= "hg" in words[1:]
    return found


def check_reported(daemon: Daemon, write: str) -> None:
    """The report and the mapping, at rest: status, metrics and smaps are three reads."""
    stream = json.loads(daemon.ctl("status", "--json").stdout)["streams"][0]
    reported = {(stream["write"], stream["page_size"])}
    reported |= set(re.findall(r'^fastlogd_\w+\{.*write="(\w+)",page_size="(\w+)"', daemon.get("/metrics")[1], re.MULTILINE))
    really = mapped_as(daemon)
    assert reported == {("mapping" if really["writable"] else "pwrite", "2MiB" if really["huge"] else "4KiB")}
    assert stream["write"] == write


@pytest.mark.parametrize(("wanted", "write"), [("mapping", "mapping"), ("small-pages", "mapping"), ("pwrite", "pwrite")])
def test_P12_the_reported_way_of_writing_is_the_one_in_force(idle_daemon, wanted, write):
    idle_daemon.stream.update(write=wanted, segment_bytes="16MiB")
    daemon = idle_daemon.start()
    sent = 0
    for _ in range(3):  # in several segments
        Load(daemon.connect, rate=1e9, count=20_000).run()
        sent += 20_000
        daemon.quiesce(sent)
        check_reported(daemon, write)
        before = daemon.metrics().sum("fastlogd_segment_rolls_total")
        daemon.ctl("rotate")
        eventually(lambda: daemon.metrics().sum("fastlogd_segment_rolls_total") > before)
    assert mapped_as(daemon)["asked"] == (wanted == "mapping")
    if wanted != "mapping":
        assert not mapped_as(daemon)["huge"]


@pytest.mark.parametrize(("wanted", "size"), [("mapping", "2MiB"), ("small-pages", "4KiB")])
def test_P12_huge_pages_are_reported_where_the_file_system_has_them(idle_daemon, wanted, size):
    """A tmpfs with huge=always has them; of other file systems the machine decides."""
    with mounted(idle_daemon.folder / "disk", "-t", "tmpfs", "-o", "size=256m,huge=always", "tmpfs") as path:
        idle_daemon.stream.update(directory=str(path / "main"), write=wanted, segment_bytes="16MiB",
                                  retention={"bytes_max": "1GiB", "keep_free": "0"})
        idle_daemon.log_directory = path / "main"
        daemon = idle_daemon.start()
        Load(daemon.connect, rate=1e9, count=20_000).run()
        daemon.quiesce(20_000)
        check_reported(daemon, "mapping")
        if wanted == "mapping" and not mapped_as(daemon)["huge"]:
            pytest.skip("no huge page was to be had here")
        assert json.loads(daemon.ctl("status", "--json").stdout)["streams"][0]["page_size"] == size
        assert daemon.stop() == 0

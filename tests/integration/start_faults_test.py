"""A disk that fails at a start after a kill -9: the daemon comes up, says what is wrong, and goes on once it may."""

import pytest
from support.daemon import eventually
from support.faults import start_with_faults
from support.load import Load, check_exactly_once

FAULTS = {
    "seal, its trailer": ("pwrite64:error={}:when=1", "current"),
    "first segment, open": ("openat:error={}:when=1", "next"),
    "first segment, space": ("fallocate:error={}:when=1", "next"),
    "first segment, header": ("pwrite64:error={}:when=1", "next"),
    "first segment, sync": ("fdatasync:error={}:when=1", "next"),
    "first segment, name": ("rename:error={}:when=1", "next"),
}


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("what", FAULTS)
def test_a_start_succeeds_whatever_the_disk_refuses_once(idle_daemon, what, error):
    daemon = idle_daemon.start()
    Load(daemon.connect, count=5000).run()
    daemon.quiesce(5000)
    daemon.kill()
    fault, which = FAULTS[what]
    files = sorted(path.name for path in daemon.log_directory.glob("*.flog"))
    if which == "current":
        paths = [daemon.log_directory / files[0]]
    else:
        paths = [daemon.log_directory / f"{int(files[-1][:20]) + 1:020}.flog.tmp"]
    trace = daemon.folder / "trace"
    start_with_faults(daemon, fault.format(error), paths=paths, trace=trace)
    assert trace.read_text().count("INJECTED") == 1
    Load(daemon.connect, name="b", count=2000).run()
    assert daemon.quiesce(2000).dropped == 0
    stored = b"\n".join(daemon.cat())
    check_exactly_once(stored, 5000)
    check_exactly_once(stored, 2000, "b")
    eventually(lambda: daemon.get("/healthz")[1].split("\n")[0] in ("ok", "degraded"))
    assert daemon.stop() == 0
    daemon.start()
    stored = b"\n".join(daemon.cat())
    check_exactly_once(stored, 5000)
    check_exactly_once(stored, 2000, "b")
    daemon.verify()

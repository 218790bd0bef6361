"""No room at a start after a kill -9, found by one call or another: the daemon comes up, says so, and goes on once it may."""

import pytest
from support.daemon import eventually
from support.faults import start_with_faults
from support.load import Load, check_exactly_once

FAULTS = {
    "open": "openat:error=ENOSPC:when=1",
    "space": "fallocate:error=ENOSPC:when=1",
    "header": "pwrite64:error=ENOSPC:when=1",
    "sync": "fdatasync:error=ENOSPC:when=1",
    "name": "rename:error=ENOSPC:when=1",
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_start_succeeds_when_its_first_segment_finds_no_room_once(idle_daemon, what):
    daemon = idle_daemon.start()
    Load(daemon.connect, count=5000).run()
    daemon.quiesce(5000)
    daemon.kill()
    newest = max(int(path.name[:20]) for path in daemon.log_directory.glob("*.flog"))
    trace = daemon.folder / "trace"
    start_with_faults(daemon, FAULTS[what], paths=[daemon.log_directory / f"{newest + 1:020}.flog.tmp"], trace=trace)
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

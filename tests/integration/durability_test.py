"""What a disk that fails does to the log: said in the metrics and /healthz, never acknowledged again in that segment."""

import subprocess
import time

import pytest
from support.daemon import eventually
from support.load import Load, check_exactly_once
from support.senders import program


def start_with_faults(daemon, *faults: str):
    """Under strace, which makes chosen system calls fail; skipped where tracing isn't allowed."""
    tracer = program("strace")
    if subprocess.run([tracer, "-o", "/dev/null", "true"], capture_output=True).returncode != 0:
        pytest.skip("strace may not trace here")
    injected = [option for fault in faults for option in ("-e", f"inject={fault}")]
    return daemon.start(prefix=(tracer, "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync,fallocate", *injected))


def test_durable_follows_committed_at_its_interval(daemon):
    Load(daemon.connect, count=1000).run()
    before = daemon.quiesce(1000).sum("fastlogd_syncs_total")
    Load(daemon.connect, name="b", count=1000).run()
    eventually(lambda: daemon.metrics().sum("fastlogd_syncs_total") > before, 5)
    assert daemon.metrics().sum("fastlogd_sync_errors_total") == 0


def test_mode_none_syncs_nothing_while_running(idle_daemon):
    idle_daemon.stream["durability"] = {"mode": "none"}
    daemon = idle_daemon.start()
    Load(daemon.connect, count=1000).run()
    daemon.quiesce(1000)
    time.sleep(2)
    assert daemon.metrics().sum("fastlogd_syncs_total") == 0


def test_a_failed_sync_is_reported_and_records_keep_coming(idle_daemon):
    daemon = start_with_faults(idle_daemon, "fdatasync:error=EIO:when=3+")
    load = Load(daemon.connect, rate=2000, count=10_000)
    load.start()
    eventually(lambda: daemon.metrics().sum("fastlogd_sync_errors_total") > 0, 20)
    load.finish()
    now = daemon.quiesce(10_000)
    assert now.stored + now.dropped == 10_000
    assert "I/O error" in daemon.stderr() or "Input/output error" in daemon.stderr()
    assert now.sum("fastlogd_store_failed") == 1
    assert "sync" in daemon.get("/healthz")[1]


def test_a_slow_disk_does_not_slow_what_is_stored(idle_daemon):
    daemon = start_with_faults(idle_daemon, "fdatasync:delay_exit=500000:when=1+")
    Load(daemon.connect, rate=1e9, count=100_000).run()
    daemon.quiesce(100_000, 20)
    check_exactly_once(b"\n".join(daemon.cat()), 100_000)

"""durability.sync_severity: one record of that severity is on disk at once, whatever the mode; another one waits."""

import json
import time

import pytest
from support.daemon import Daemon, eventually

QUIET_SECONDS = 1.5  # longer than a sync thread that looks once a second sleeps


def send(daemon: Daemon, line: bytes, received: int) -> None:
    with daemon.connect() as connection:
        connection.sendall(line + b"\n")
    daemon.quiesce(received)


def syncs(daemon: Daemon) -> int:
    return daemon.metrics().sum("fastlogd_syncs_total")


def is_durable(daemon: Daemon) -> bool:
    stream = json.loads(daemon.ctl("status", "--json").stdout)["streams"][0]
    return stream["durable"] == stream["committed"]


@pytest.mark.parametrize("durability", [{"mode": "none"}, {"mode": "interval", "interval": "1h"}], ids=["none", "interval"])
def test_only_what_is_as_severe_is_synced(idle_daemon, durability):
    idle_daemon.stream["durability"] = durability | {"sync_severity": "crit"}
    daemon = idle_daemon.start()
    before = syncs(daemon)
    for received, line in enumerate((b"<14>user.info", b"<11>user.err"), 1):
        send(daemon, line, received)
    time.sleep(QUIET_SECONDS)
    assert syncs(daemon) == before and not is_durable(daemon)
    for received, line in enumerate((b"<10>user.crit", b"<8>user.emerg"), 3):
        before = syncs(daemon)
        send(daemon, line, received)
        eventually(lambda: is_durable(daemon))
        assert syncs(daemon) > before
    before = syncs(daemon)
    send(daemon, b"<14>user.info again", 5)
    time.sleep(QUIET_SECONDS)
    assert syncs(daemon) == before and not is_durable(daemon)
    assert [row["severity"] for row in daemon.cat_json()] == ["info", "err", "crit", "emerg", "info"]


def test_without_it_no_severity_is_synced(idle_daemon):
    idle_daemon.stream["durability"] = {"mode": "none"}
    daemon = idle_daemon.start()
    for received, line in enumerate((b"<10>user.crit", b"<8>user.emerg"), 1):
        send(daemon, line, received)
    time.sleep(QUIET_SECONDS)
    assert syncs(daemon) == 0 and not is_durable(daemon)

"""Reload under load: every kind of change, written every way editors and orchestrators write, good and bad mixed."""

import itertools
import os
import random
import signal
import socket
import time

from support.daemon import Daemon, eventually
from support.load import Load, check_exactly_once

ROUNDS = 100


def in_place(daemon: Daemon, text: str) -> None:
    daemon.config_path.write_text(text)


def rename_over(daemon: Daemon, text: str) -> None:
    other = daemon.config_path.with_suffix(".new")
    other.write_text(text)
    os.replace(other, daemon.config_path)


def symlink_swap(daemon: Daemon, text: str) -> None:
    """As Kubernetes does it: fastlogd.yaml -> ..data/fastlogd.yaml, ..data -> a folder, exchanged by rename."""
    version = daemon.folder / f"..{time.time_ns()}"
    version.mkdir()
    (version / "fastlogd.yaml").write_text(text)
    swap = daemon.folder / "..data_new"
    swap.symlink_to(version.name)
    os.replace(swap, daemon.folder / "..data")
    if not daemon.config_path.is_symlink():
        link = daemon.folder / "link"
        link.symlink_to("..data/fastlogd.yaml")
        os.replace(link, daemon.config_path)


def text_of(daemon: Daemon) -> str:
    path = daemon.write_config(daemon.folder / "draft")
    return path.read_text()


def change_something(daemon: Daemon, number: int) -> None:
    """One live-changeable kind each time, in turn."""
    extra = {"name": "extra", "transport": "unix-stream", "path": str(daemon.folder / "run/extra.sock"), "stream": "main"}
    listeners = [listener for listener in daemon.config["listeners"] if listener["name"] != "extra"]
    kind = number % 8
    if kind == 0:
        daemon.config["listeners"] = listeners + [extra]
    elif kind == 1:
        daemon.config["listeners"] = listeners + [extra | {"path": str(daemon.folder / f"run/extra{number}.sock")}]
    elif kind == 2:
        daemon.config["listeners"] = listeners
    elif kind == 3:
        daemon.stream["retention"]["bytes_max"] = f"{4 + number}GiB"
    elif kind == 4:
        daemon.with_text(rotate_bytes=f"{50 + number}MiB", keep=number % 5 + 2)
    elif kind == 5:
        daemon.config["limits"] = {"record_bytes_max": f"{32 + number}KiB", "connections_max": 1000 + number}
    elif kind == 6:
        daemon.config["diagnostics"] = {"level": ["debug", "info", "warning"][number // 8 % 3]}
    else:
        daemon.stream["durability"]["interval"] = f"{500 + number}ms"


BAD = ["streams: [", "nonsense: true\n", '{"streams": {"main": {"directory": 7, "segment_bytes": "3MiB"}}}', "- a list\n",
       "http: {address: 127.0.0.1, port: 99999}\n", "\0binary\1"]


def test_a_hundred_reloads_under_load_lose_nothing(idle_daemon):
    daemon = idle_daemon.with_text().start()
    load = Load(daemon.connect, rate=20_000)
    load.start()
    chance = random.Random(7)
    ways = itertools.cycle([in_place, rename_over, symlink_swap])
    good = bad = 0
    for number in range(ROUNDS):
        write = next(ways)
        if chance.random() < 0.3 and number < ROUNDS - 1:  # the last one is good: fastlogctl reads the file too
            write(daemon, BAD[bad % len(BAD)] + f"# {number}\n")
            bad += 1
        else:
            change_something(daemon, good)
            write(daemon, text_of(daemon))
            good += 1
        eventually(lambda: daemon.metrics().reloads == (good, bad), 3)
        assert daemon.metrics().sum("fastlogd_config_last_reload_successful") in (0, 1)
    sent = load.stop()
    assert load.error is None, "the connection on an unchanged listener was dropped"
    now = daemon.quiesce(sent)
    assert now.reloads == (good, bad) and good + bad == ROUNDS
    assert (now.received, now.dropped) == (sent, 0)
    daemon.write_config()  # the last one may have been bad, and fastlogctl would refuse it too
    check_exactly_once(b"\n".join(daemon.cat()), sent)


def test_a_reload_takes_effect_within_300_ms(daemon):
    delays = []
    for number in range(5):
        change_something(daemon, 3 + 8 * number)
        daemon.write_config()
        written = time.monotonic()
        eventually(lambda number=number: daemon.metrics().reloads == (number + 1, 0), 3, 0.005)
        delays.append(time.monotonic() - written)
    assert sorted(delays)[2] < 0.3, delays


def test_a_changed_listener_serves_at_its_new_place_and_no_longer_at_the_old(daemon):
    old = daemon.target("unix-stream").path
    daemon.listener("app")["path"] = str(daemon.folder / "run/new.sock")
    daemon.write_config()
    eventually(lambda: os.path.exists(daemon.target("unix-stream").path))
    Load(daemon.connect, count=100).run()
    daemon.quiesce(100)
    eventually(lambda: not os.path.exists(old))


def test_the_same_bytes_again_are_no_reload(daemon):
    for write in (in_place, rename_over):
        write(daemon, daemon.config_path.read_text())
        time.sleep(0.5)
    assert daemon.metrics().reloads == (0, 0)


def test_a_bad_file_is_refused_with_its_place_and_the_old_one_stays(daemon):
    in_place(daemon, "streams:\n  main:\n    directry: /x\n")
    eventually(lambda: daemon.metrics().reloads == (0, 1))
    assert "fastlogd.yaml:3:" in daemon.stderr() and "directory" in daemon.stderr(), "the line and a suggestion"
    assert daemon.metrics().sum("fastlogd_config_last_reload_successful") == 0
    Load(daemon.connect, count=10).run()
    daemon.quiesce(10)
    assert "config" in daemon.get("/healthz")[1]


def test_an_emptied_or_missing_file_is_refused(daemon):
    in_place(daemon, "")
    eventually(lambda: daemon.metrics().reloads == (0, 1))
    daemon.write_config()
    time.sleep(0.5)
    successes = daemon.metrics().reloads[0]
    daemon.config_path.unlink()
    eventually(lambda: daemon.metrics().reloads[1] == 2, 8)
    daemon.config["limits"] = {"connections_max": 77}
    daemon.write_config()
    eventually(lambda: daemon.metrics().reloads[0] == successes + 1, 8)


def test_what_needs_a_restart_is_said_and_not_ignored(daemon):
    daemon.stream["segment_bytes"] = "8MiB"
    daemon.write_config()
    eventually(lambda: sum(daemon.metrics().reloads) == 1)
    assert "restart" in daemon.stderr() and "segment_bytes" in daemon.stderr()


def test_reload_on_request_waits_for_the_result(daemon):
    daemon.config["limits"] = {"connections_max": 55}
    daemon.write_config()
    daemon.ctl("reload")
    applied, refused = daemon.metrics().reloads
    assert applied in (1, 2) and refused == 0, "the request, and the watch if it came first"
    in_place(daemon, "limits: {connections_max: many}\n")
    done = daemon.ctl("reload", check=False)
    assert done.returncode == 78
    assert b"fastlogd.yaml:1:" in done.stdout + done.stderr


def test_sighup_reloads(daemon):
    daemon.config["limits"] = {"connections_max": 55}
    daemon.write_config()
    eventually(lambda: daemon.metrics().reloads == (1, 0))
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: daemon.metrics().reloads == (2, 0))


def test_a_listener_that_can_not_be_opened_refuses_the_whole_reload(daemon):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        daemon.config["listeners"].append({"name": "second", "transport": "unix-stream", "path": str(daemon.folder / "run/second.sock"),
                                           "stream": "main"})
        daemon.config["listeners"].append({"name": "taken", "transport": "tcp", "address": "127.0.0.1",
                                           "port": taken.getsockname()[1], "stream": "main"})
        daemon.write_config()
        eventually(lambda: daemon.metrics().reloads == (0, 1))
    assert not os.path.exists(daemon.folder / "run/second.sock"), "half of the reload was applied"


def test_drop_ins_are_read_and_watched(idle_daemon):
    (idle_daemon.folder / "conf.d").mkdir()
    daemon = idle_daemon.start()
    (daemon.folder / "conf.d" / "10-limits.yaml").write_text("limits: {connections_max: 3}\n")
    eventually(lambda: daemon.metrics().reloads == (1, 0))
    (daemon.folder / "conf.d" / "20-broken.yaml").write_text("limits: [\n")
    eventually(lambda: daemon.metrics().reloads == (1, 1))
    assert "20-broken.yaml:" in daemon.stderr()

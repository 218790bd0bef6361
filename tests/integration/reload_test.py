"""Reload: when it happens, what it changes, what it refuses and says. Under load: see reload_under_load_test."""

import os
import signal
import socket
import time

from support.daemon import eventually
from support.load import Load
from support.rewrites import in_place, rename_over


def test_a_reload_takes_effect_within_300_ms(daemon):
    delays = []
    for number in range(5):
        daemon.stream["retention"]["bytes_max"] = f"{4 + number}GiB"
        daemon.write_config()
        written = time.monotonic()
        eventually(lambda number=number: daemon.metrics().reloads == (number + 1, 0), 3, 0.005)
        delays.append(time.monotonic() - written)
    assert sorted(delays)[2] < 0.3, delays


def test_a_changed_listener_serves_at_its_new_place_and_no_longer_at_the_old(daemon):
    old = daemon.target("unix-stream").path
    daemon.listener("app")["path"] = str(daemon.folder / "run/new.sock")
    daemon.write_config()
    eventually(lambda: daemon.metrics().sum("fastlogd_config_generation") == 2)  # the file is there before it is listened on
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
    eventually(lambda: daemon.metrics().reloads == (1, 1))
    daemon.config_path.unlink()
    eventually(lambda: daemon.metrics().reloads[1] == 2, 8)
    daemon.config["limits"] = {"connections_max": 77}
    daemon.write_config()
    eventually(lambda: daemon.metrics().reloads[0] == 2, 8)


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


def test_a_text_file_that_can_not_be_made_refuses_the_whole_reload(idle_daemon):
    folder = idle_daemon.folder
    idle_daemon.config["streams"]["second"] = {"directory": str(folder / "log/second"), "segment_bytes": "4MiB",
                                               "retention": {"keep_free": "64MiB"}}
    daemon = idle_daemon.start()
    Load(daemon.connect, count=10).run()
    daemon.quiesce(10)
    daemon.with_text()
    daemon.config["streams"]["second"]["text"] = {"path": str(folder / "nowhere/second.log")}
    daemon.write_config()
    eventually(lambda: daemon.metrics().reloads == (0, 1))
    assert f"{folder}/nowhere/second.log" in daemon.stderr()
    time.sleep(0.3)
    assert not daemon.text_path.exists(), "half of the reload was applied"


def test_drop_ins_are_read_and_watched(idle_daemon):
    (idle_daemon.folder / "conf.d").mkdir()
    daemon = idle_daemon.start()
    (daemon.folder / "conf.d" / "10-limits.yaml").write_text("limits: {connections_max: 3}\n")
    eventually(lambda: daemon.metrics().reloads == (1, 0))
    (daemon.folder / "conf.d" / "20-broken.yaml").write_text("limits: [\n")
    eventually(lambda: daemon.metrics().reloads == (1, 1))
    assert "20-broken.yaml:" in daemon.stderr()
